"""The parts of the server that need no server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from agent.mcp.client import Used
from agent.mcp.limits import RateLimit
from agent.mcp.office import Office, listed
from agent.mcp.pages import page_of
from agent.mcp.resources import KINDS
from agent.mcp.running import check_host
from agent.mcp.server import INSTRUCTIONS, _Handlers
from agent.tools.callers import Callers
from agent.tools.registry import tools_for
from agent.tools.schema import size
from agent.tools.tool import Toolset
from drls_dagster.cli.main import run
from drls_dagster.errors import UsageError
from drls_dagster.settings import load_settings
from lifecycle.domain.credentials import AGENT_SCOPES
from lifecycle.errors import Unauthorized
from lifecycle.verbs.table import ROWS


def test_a_bucket_fills_evenly_and_each_token_has_its_own() -> None:
    now = [0.0]
    limit = RateLimit(per_minute=60, burst=2, clock=lambda: now[0])
    assert [limit.take("a") for _ in range(3)] == [0, 0, 1]
    assert limit.take("b") == 0
    now[0] = 0.5
    assert limit.take("a") == 1
    now[0] = 1.0
    assert [limit.take("a"), limit.take("a")] == [0, 1]
    now[0] = 100.0
    assert [limit.take("a") for _ in range(3)] == [0, 0, 1]


def test_a_slow_bucket_says_when_the_next_request_counts() -> None:
    limit = RateLimit(per_minute=1, burst=1, clock=lambda: 0.0)
    assert [limit.take("a"), limit.take("a")] == [0, 60]


def test_buckets_do_not_pile_up() -> None:
    limit = RateLimit(per_minute=1, burst=1, clock=lambda: 0.0, most=2)
    assert [limit.take(one) for one in ("a", "b", "c", "a", "c")] == [0, 0, 0, 0, 60]


def test_pages_cover_a_list_once() -> None:
    seen: list[int] = []
    cursor = None
    while True:
        items, cursor = page_of(range(7), cursor, size=3)
        seen += items
        if cursor is None:
            break
    assert seen == list(range(7))
    with pytest.raises(MCPError, match="the list has changed"):
        page_of([], page_of(range(7), None, size=3)[1])


def test_an_answer_of_a_person_is_used_once() -> None:
    used = Used(most=2)
    assert [used.use(one) for one in ("a", "a", "b")] == [True, False, True]


@pytest.mark.parametrize("host", ["192.0.2.1", "::", "drls.example.org"])
def test_tokens_cross_no_network_in_the_clear(host: str) -> None:
    with pytest.raises(UsageError, match="--certificate"):
        check_host(host, protected=False)
    check_host(host, protected=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.0.1"])
def test_this_machine_needs_no_certificate(host: str) -> None:
    check_host(host, protected=False)


def test_the_command_refuses_a_network_before_it_listens(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mcp", "--http", "--host", "::"]) == 2
    assert "mcp.plain_http" in capsys.readouterr().err


def test_before_the_first_start_the_command_says_what_to_do(drls_home: Path) -> None:
    with pytest.raises(Unauthorized, match=rf"nobody is signed in at {drls_home}; run drls up once, .* or: drls login"):
        Callers(load_settings(drls_home), agent="mcp").kept()


@pytest.mark.parametrize(("toolsets", "most"), [((Toolset.READ,), 9_000), ((), 24_000)], ids=["read", "everything"])
def test_what_the_server_sends_of_its_tools_is_what_the_limit_counts(toolsets: tuple[Toolset, ...], most: int) -> None:
    tools = [listed(one) for one in tools_for(AGENT_SCOPES, toolsets)]
    sent = types.ListToolsResult(tools=tools).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert size(sent["tools"]) <= most


def test_the_instructions_are_ten_lines_and_say_who_approves() -> None:
    lines = INSTRUCTIONS.splitlines()
    assert len(lines) == 10
    assert "People approve requests; no tool here approves or rejects." in INSTRUCTIONS
    assert len(INSTRUCTIONS) < 1_500


def test_no_two_kinds_of_resources_claim_one_address() -> None:
    for kind in KINDS:
        uri = kind.template
        for name in ("pipeline", "version", "run", "name", "page"):
            uri = uri.replace(f"{{{name}}}", "x")
        assert [one.name for one in KINDS if one.values(uri) is not None] == [kind.name]


def test_every_verb_that_decides_is_closed_to_agents() -> None:
    deciding = {"promotions.approve", "promotions.reject", "promotions.review", "promotions.break_glass"}
    assert {row.verb.name for row in ROWS if not row.agents} >= deciding


def test_the_sdk_learns_what_a_tool_takes_without_listing_all_tools(tmp_path: Path) -> None:
    """It would list them for each call, which cost more than the call."""
    office = Office(Callers(load_settings(tmp_path), agent="mcp"), lambda _: pytest.fail("nobody asked"), lambda _: ())
    handlers = _Handlers(lambda: office)
    ask = handlers.server.get_tool_input_schema
    assert ask is not None
    assert ask("search") is None, "the tools are not loaded yet"
    asyncio.run(handlers.office())
    found = ask("search")
    assert found == listed(next(one for one in tools_for(AGENT_SCOPES) if one.name == "search")).input_schema
    assert ask("approve") is None
