"""What a client must read before it can ask anything: `tools/list` stays small."""

from __future__ import annotations

import pytest

from agent.tools.registry import all_tools, tools_for
from agent.tools.schema import listed, size
from agent.tools.tool import Toolset
from lifecycle.domain.credentials import TokenScope

EVERYTHING = frozenset(TokenScope)


def bytes_of(*toolsets: Toolset) -> int:
    return size({"tools": [listed(one) for one in tools_for(EVERYTHING, toolsets)]})


def each(*toolsets: Toolset) -> str:
    """The tools with their sizes, longest first: what a failure shows."""
    sizes = {one.name: size(listed(one)) for one in tools_for(EVERYTHING, toolsets)}
    return ", ".join(f"{name} {count}" for name, count in sorted(sizes.items(), key=lambda one: -one[1]))


def test_all_tools_take_24_kilobytes() -> None:
    assert bytes_of() <= 21_000, each()
    assert bytes_of(*Toolset) <= 24_000, each(*Toolset)


def test_tools_that_read_take_9_kilobytes() -> None:
    assert bytes_of(Toolset.READ) <= 9_000, each(Toolset.READ)


def test_there_are_at_most_30_tools_besides_those_of_the_first_drls() -> None:
    assert len(tools_for(EVERYTHING)) <= 30
    assert len(all_tools()) - len(tools_for(EVERYTHING)) <= 13


@pytest.mark.parametrize("one", all_tools(), ids=lambda one: one.name)
def test_a_tool_is_described_in_a_few_words(one: object) -> None:
    assert size(listed(one)) <= 1_200  # type: ignore[arg-type]
    assert len(one.about) <= 400  # type: ignore[attr-defined]
