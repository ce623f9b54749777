"""Calling tools by name: what a token may call, and what is said of wrong calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.tools.call import ToolCall
from agent.tools.dispatch import find_tool, invoke
from agent.tools.errors import NeedsConfirmation, ToolError
from agent.tools.registry import all_tools, tools_for
from agent.tools.tool import Effect, Toolset
from drls_dagster.settings import Settings
from lifecycle.domain.credentials import TokenScope

READ, WRITE = frozenset({TokenScope.READ}), frozenset({TokenScope.READ, TokenScope.WRITE})


def a_call(scopes: frozenset[TokenScope], *, unattended: bool = False) -> ToolCall:
    """A call that asks nothing of the lifecycle."""
    return ToolCall(None, scopes, Settings.model_construct(home=Path("/nowhere")), unattended)  # type: ignore[arg-type]


def test_a_token_that_reads_finds_reading_tools_alone() -> None:
    assert {one.effect for one in tools_for(READ)} == {Effect.READ}
    assert set(tools_for(READ)) <= set(tools_for(WRITE))


def test_a_token_that_reads_is_told_why_a_tool_is_not_there() -> None:
    with pytest.raises(ToolError, match=r"there is no tool save_version for this token, .* --scope read --scope write"):
        find_tool("save_version", a_call(frozenset({TokenScope.READ})))
    with pytest.raises(ToolError, match="there is no tool approve here; the tools are: "):
        find_tool("approve", a_call(frozenset({TokenScope.READ})))


def test_old_names_are_there_when_they_are_asked_for() -> None:
    assert not [one for one in tools_for(WRITE) if one.toolset is Toolset.DRLS1]


def test_what_is_wrong_with_a_call_is_said_in_a_line() -> None:
    call = a_call(READ)
    with pytest.raises(ToolError, match="no tool approve here; the tools are: ") as unknown:
        find_tool("approve", call)
    assert "\n" not in unknown.value.message
    found = tools_for(READ)[0]
    with pytest.raises(ToolError, match=f"{found.name}: who: Extra inputs"):
        invoke(found, call, {"who": "me"})


def test_where_nobody_can_be_asked_a_change_needs_a_token_for_it() -> None:
    with pytest.raises(NeedsConfirmation, match="Start 20 runs"):
        a_call(WRITE).confirm("Start 20 runs?")
    a_call(WRITE, unattended=True).confirm("Start 20 runs?")


def test_every_tool_says_what_it_does() -> None:
    for one in all_tools():
        assert one.about
        assert all(field.annotation is not None for field in one.input.model_fields.values())
