"""Who may call which tool, by which way, with which toolsets: one written table, tried for everybody (A8).

A tool that is not in TABLE fails here. What only Dagster knows is tried in `test_matrix_of_runs`, before a real one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import mcp_types as types
import pytest
from mcp import Client
from pyiceberg.types import LongType

from agent.tools.call import ToolCall
from agent.tools.dagster import DagsterRefused
from agent.tools.dispatch import find_tool, invoke
from agent.tools.errors import ToolError
from agent.tools.registry import all_tools, tools_for
from agent.tools.tool import Effect, Tool, Toolset
from drls_dagster import settings
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.catalog import load_catalog
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.roles import Role
from lifecycle.errors import Forbidden, NotFound, Unauthorized
from tests.agent.matrix import (
    BOTH,
    MINE,
    NOWHERE,
    PEOPLE,
    THEIRS,
    TRANSPORTS,
    Place,
    World,
    matrix_world,
    mcp_server,
    words,
)
from tests.agent.mcp.world import agrees, ask, names, over_http, text_of

EVERY = tuple(Toolset)
ROLES = (None, Role.VIEWER, Role.DATA_ENGINEER, Role.LEAD, Role.ADMIN)
Given = Callable[[Place], Mapping[str, Any]]


@dataclass(frozen=True)
class Entry:
    """`may`: a letter for each of ROLES, y or n, on the pipeline that it is asked about.

    `given`: what it is asked about a pipeline. `everywhere`: it is about no pipeline; `lists`: it names those that its
    caller sees. `dagster`: it asks Dagster. `offered`: the role from which it is offered, where somebody may do more
    about what is their own. `also`: further toolsets that have it.
    """

    toolset: Toolset
    effect: Effect
    may: str
    given: Given
    everywhere: bool = False
    lists: bool = False
    dagster: bool = False
    offered: Role | None = None
    also: tuple[Toolset, ...] = ()

    def allows(self, role: Role | None) -> bool:
        return self.may[ROLES.index(role)] == "y"


def _nothing(_place: Place) -> Mapping[str, Any]:
    return {}


#                                                        none, Viewer, DataEngineer, Lead, Admin
TABLE: dict[str, Entry] = {
    "search": Entry(Toolset.READ, Effect.READ, "nyyyy", _nothing, everywhere=True, lists=True),
    "lineage": Entry(Toolset.READ, Effect.READ, "nyyyy", lambda one: {"name": one.table}),
    "history": Entry(Toolset.READ, Effect.READ, "nyyyy", lambda one: {"pipeline": one.pipeline}),
    "get_pipeline": Entry(Toolset.READ, Effect.READ, "nyyyy", lambda one: {"name": one.pipeline}),
    "list_requests": Entry(Toolset.READ, Effect.READ, "nyyyy", _nothing, everywhere=True, lists=True),
    "get_request": Entry(Toolset.READ, Effect.READ, "nyyyy", lambda one: {"id": one.request}),
    "what_was_production_at": Entry(
        Toolset.READ, Effect.READ, "nyyyy", lambda one: {"time": "2026-01-01", "pipeline": one.pipeline}
    ),
    "validate": Entry(Toolset.BUILD, Effect.READ, "nnyyy", lambda one: {"definition": one.definition}),
    "save_version": Entry(
        Toolset.BUILD, Effect.ADD, "nnyyy", lambda one: {"definition": one.definition, "message": "the same again"}
    ),
    "diff": Entry(
        Toolset.BUILD, Effect.READ, "nyyyy", lambda one: {"pipeline": one.pipeline, "before": 1, "after": 1}
    ),
    "import_pipeline": Entry(
        Toolset.BUILD, Effect.READ, "nnyyy",
        lambda one: {"sql": "SELECT a FROM b.c", "name": one.pipeline, "table": one.table},
    ),
    "plan_promotion": Entry(
        Toolset.PROPOSE, Effect.READ, "nyyyy",
        lambda one: {"pipeline": one.pipeline, "version": 1, "to": "production"},
    ),
    "request_promotion": Entry(
        Toolset.PROPOSE, Effect.ADD, "nnyyy",
        lambda one: {
            "pipeline": one.pipeline, "version": 1, "to": "production", "reason": "it is time", "dry_run": False,
        },
    ),
    "comment": Entry(
        Toolset.PROPOSE, Effect.ADD, "nyyyy", lambda one: {"request": one.request, "text": "a word"}
    ),
    # Of somebody else's request.
    "withdraw": Entry(
        Toolset.PROPOSE, Effect.CHANGE, "nnnyy",
        lambda one: {"request": one.request, "reason": "not now", "dry_run": False}, offered=Role.DATA_ENGINEER,
    ),
    "explain_run": Entry(Toolset.READ, Effect.READ, "nyyyy", lambda one: {"run_id": one.run}),
    "get_table": Entry(Toolset.READ, Effect.READ, "nyyyy", lambda one: {"table": one.table}),
    "preview_table": Entry(Toolset.READ, Effect.READ, "nyyyy", lambda one: {"table": one.table}),
    "query": Entry(Toolset.READ, Effect.READ, "nyyyy", lambda one: {"sql": f"SELECT sum(x) FROM {one.table}"}),
    "table_history": Entry(
        Toolset.TABLES, Effect.READ, "nyyyy", lambda one: {"table": one.table}, also=(Toolset.DRLS1,)
    ),
    "maintain": Entry(
        Toolset.TABLES, Effect.CHANGE, "nnnyy",
        lambda one: {"action": "expire", "table": one.table, "dry_run": False}, offered=Role.VIEWER,
    ),
    "change_table": Entry(
        Toolset.TABLES, Effect.CHANGE, "nnnyy",
        lambda one: {
            "table": one.table, "change": {"kind": "set_doc", "column": "x", "doc": "a number"}, "dry_run": False,
        },
        offered=Role.VIEWER,
    ),
    "compact_table": Entry(Toolset.DRLS1, Effect.CHANGE, "nnnyy", lambda one: {"table": one.table}),
    "expire_snapshots": Entry(Toolset.DRLS1, Effect.CHANGE, "nnnyy", lambda one: {"table": one.table}),
    "remove_orphan_files": Entry(
        Toolset.DRLS1, Effect.CHANGE, "nnnyy", lambda one: {"table": one.table, "dry_run": False}
    ),
    "suggest_checks": Entry(Toolset.BUILD, Effect.READ, "nyyyy", lambda one: {"table": one.table}),
    "list_tables": Entry(Toolset.DRLS1, Effect.READ, "nyyyy", _nothing, everywhere=True, lists=True),
    "get_table_health": Entry(Toolset.DRLS1, Effect.READ, "nyyyy", lambda one: {"table": one.table}),
    "get_schema": Entry(Toolset.DRLS1, Effect.READ, "nyyyy", lambda one: {"table": one.table}),
    "add_column": Entry(
        Toolset.DRLS1, Effect.ADD, "nnnyy", lambda one: {"table": one.table, "column": "extra", "type": "long"}
    ),
    # The version that is deployed may still use the column: they are let in, and told so.
    "rename_column": Entry(
        Toolset.DRLS1, Effect.CHANGE, "nnnyy", lambda one: {"table": one.table, "column": "x", "new_name": "z"}
    ),
    "drop_column": Entry(Toolset.DRLS1, Effect.CHANGE, "nnnyy", lambda one: {"table": one.table, "column": "x"}),
    "alter_column_type": Entry(
        Toolset.DRLS1, Effect.CHANGE, "nnnyy", lambda one: {"table": one.table, "column": "x", "type": "long"}
    ),
    "rollback_to": Entry(
        Toolset.DRLS1, Effect.CHANGE, "nnnyy", lambda one: {"table": one.table, "snapshot_id": "main"}
    ),
    "list_runs": Entry(Toolset.READ, Effect.READ, "nyyyy", lambda one: {"pipeline": one.pipeline}, dagster=True),
    "get_run": Entry(Toolset.READ, Effect.READ, "nyyyy", lambda one: {"run_id": one.run}, dagster=True),
    "run": Entry(
        Toolset.RUNS, Effect.CHANGE, "nnyyy",
        lambda one: {"pipeline": one.pipeline, "environment": "production", "partition": "north", "dry_run": False},
        dagster=True,
    ),
    "materialize": Entry(
        Toolset.RUNS, Effect.CHANGE, "nnyyy",
        lambda one: {
            "selection": f'key:"{one.pipeline}.kept"', "environment": "production", "partition": "north",
            "dry_run": False,
        },
        dagster=True,
    ),
    "wait_run": Entry(Toolset.RUNS, Effect.READ, "nyyyy", lambda one: {"run_id": one.run, "seconds": 1}, dagster=True),
    "cancel_run": Entry(
        Toolset.RUNS, Effect.CHANGE, "nnyyy", lambda one: {"run_id": one.run, "dry_run": False}, dagster=True
    ),
}  # fmt: skip
# What a person sees and touches with a role on one pipeline: only that one.
NARROW = tuple(name for name, (_, on) in PEOPLE.items() if on)
KNOWN = {one.name: TABLE[one.name] for one in all_tools() if one.name in TABLE}
LOCAL = [one for one in all_tools() if one.name in KNOWN and not KNOWN[one.name].dagster]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("matrix") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRLS_HOME", str(home))
        settings._load.cache_clear()
        with matrix_world(home) as made:
            for name in (MINE, THEIRS):  # a table keeps its only column
                load_catalog().load_table(made.places[name].table).update_schema().add_column("y", LongType()).commit()
            yield made
    settings._load.cache_clear()


def test_a8_every_tool_has_an_entry_that_is_true() -> None:
    """A new tool needs a line in TABLE: for whom it is, and what it is asked about a pipeline."""
    said = {one.name: (one.toolset, one.effect, one.role, one.scope) for one in all_tools()}
    assert set(said) == set(KNOWN), "write down who may call a new tool"
    for name, entry in KNOWN.items():
        least = next(role for role in ROLES if entry.allows(role))
        assert least is not None, f"{name}: nothing is for people without a role"
        assert entry.may == "n" * ROLES.index(least) + "y" * (len(ROLES) - ROLES.index(least)), name
        scope = TokenScope.READ if entry.effect is Effect.READ else TokenScope.WRITE
        assert said[name] == (entry.toolset, entry.effect, entry.offered or least, scope), name


@pytest.mark.parametrize("scopes", [(), (TokenScope.READ,), (TokenScope.WRITE,), BOTH, tuple(TokenScope)], ids=str)
def test_a8_toolsets_and_scopes_narrow_what_is_offered(scopes: tuple[TokenScope, ...]) -> None:
    call = ToolCall(None, frozenset(scopes), None)  # type: ignore[arg-type]
    for count in range(len(Toolset) + 1):
        for wanted in combinations(Toolset, count):
            chosen = set(wanted) or set(Toolset) - {Toolset.DRLS1}
            expected = {
                name
                for name, one in KNOWN.items()
                if chosen & {one.toolset, *one.also}
                and (TokenScope.READ if one.effect is Effect.READ else TokenScope.WRITE) in scopes
            }
            assert {one.name for one in tools_for(scopes, wanted)} == expected
            for name in KNOWN:
                if name in expected:
                    assert find_tool(name, call, wanted).name == name
                else:
                    with pytest.raises(ToolError, match="there is no tool"):
                        find_tool(name, call, wanted)


def outcome(call: ToolCall, tool: Tool, place: Place) -> DrlsError | str:
    """What it answered, or how it was refused; an error of another kind says that it was let in."""
    try:
        return words(invoke(find_tool(tool.name, call, [tool.toolset]), call, TABLE[tool.name].given(place)).model)
    except DrlsError as error:
        assert "\n" not in error.message, error.message
        return error


def is_refused(found: DrlsError | str) -> bool:
    cause = found.__cause__ if isinstance(found, ToolError) and found.__cause__ else found
    if isinstance(cause, Forbidden | NotFound | Unauthorized):
        return True
    if isinstance(cause, DagsterRefused):
        return cause.code in {401, 403}
    return isinstance(found, ToolError) and any(
        said in found.message
        for said in ("there is no ", "needs the role", "names nothing", "not there", "has no role")
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("tool", LOCAL, ids=lambda one: one.name)
def test_a8_the_table_holds(world: World, tool: Tool, who: str, transport: str) -> None:
    (role, on), entry = PEOPLE[who], TABLE[tool.name]
    call = world.call(who, transport, *BOTH)
    allowed = entry.allows(role)
    mine = outcome(call, tool, world.place(MINE))
    assert is_refused(mine) is not allowed, f"{tool.name} of {who}: {mine}"
    if entry.everywhere:
        if allowed and (entry.lists or on):
            assert (THEIRS in str(mine)) is not bool(on), f"{who} sees {mine}"
        if not on:
            return
    theirs = outcome(call, tool, world.place(THEIRS))
    if not entry.everywhere:
        assert is_refused(theirs) is not (allowed and not on), f"{tool.name} of {who}: {theirs}"
    if on:
        nowhere = outcome(call, tool, world.places[NOWHERE])
        told = unnamed(theirs, world.places[THEIRS])
        assert told == unnamed(nowhere, world.places[NOWHERE]), "it tells that the pipeline exists"


def unnamed(found: DrlsError | str, place: Place) -> str:
    """What was said, without the names that were asked for, and without digests."""
    text = f"{type(found).__name__}: {found.message}" if isinstance(found, DrlsError) else found
    text = text.replace(place.pipeline, "…").replace(place.run, "…").replace(f"request {place.request} ", "request … ")
    return re.sub(r"sha256:[0-9a-f]+", "sha256:…", text)


@pytest.fixture(scope="module")
def mcp(world: World) -> Iterator[str]:
    with mcp_server(world) as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize("who", PEOPLE)
def test_a8_over_mcp_everybody_hears_the_same(world: World, mcp: str, who: str) -> None:
    """The official client, with a person's own token: the server makes their agent of it."""
    near = world.call(who, "store", *BOTH)
    # Whoever may do something everywhere would make the pipeline that is nowhere.
    places = [world.places[name] for name in ((MINE, THEIRS, NOWHERE) if PEOPLE[who][1] else (MINE, THEIRS))]

    async def answers(client: Client) -> list[types.CallToolResult]:
        offered = await client.list_tools()
        assert names(offered.tools) == [one.name for one in tools_for(near.scopes, EVERY)]
        asked = [(tool.name, dict(TABLE[tool.name].given(place))) for tool in LOCAL for place in places]
        return [await client.call_tool(name, given) for name, given in asked]

    connected: Any = over_http(
        f"{mcp}?toolsets={','.join(EVERY)}", world.token(who, *BOTH), elicitation_callback=agrees(True, [])
    )
    told = iter(ask(connected, answers))
    for tool in LOCAL:
        for place in places:
            here, there = outcome(near, tool, place), next(told)
            assert there.is_error is isinstance(here, DrlsError) or tool.effect is not Effect.READ, (
                f"{tool.name}: {there}"
            )
            if is_refused(here):
                assert isinstance(here, DrlsError)
                assert (there.is_error, text_of(there)) == (True, here.message)
            elif PEOPLE[who][1] and place.pipeline != THEIRS:
                assert THEIRS not in str(there)


@pytest.mark.parametrize("toolset", Toolset)
def test_a8_over_mcp_a_client_gets_the_toolsets_that_it_names(world: World, mcp: str, toolset: Toolset) -> None:
    expected = [one.name for one in all_tools() if toolset in {KNOWN[one.name].toolset, *KNOWN[one.name].also}]
    others = [name for name in KNOWN if name not in expected]

    async def offered(client: Client) -> tuple[list[str], list[bool]]:
        listed = await client.list_tools()
        refused = [(await client.call_tool(name, {})).is_error for name in others]
        return names(listed.tools), refused

    connected: Any = over_http(f"{mcp}?toolsets={toolset.value}", world.token("lea"))
    listed, refused = ask(connected, offered)
    assert listed == expected
    assert all(refused)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("who", ["ada", "adam", "nora"])
def test_a8_a_token_that_reads_changes_nothing_whatever_its_holder_claims(
    world: World, who: str, transport: str
) -> None:
    honest = world.call(who, transport, TokenScope.READ)
    assert honest.scopes == {TokenScope.READ}
    claims = ToolCall(honest.lifecycle, frozenset(BOTH), honest.settings, unattended=True, client=honest.client)
    world.place(MINE)
    before = world.entries
    for tool in LOCAL:
        if tool.effect is not Effect.READ:
            with pytest.raises(ToolError, match="there is no tool"):
                find_tool(tool.name, honest)
            found = outcome(claims, tool, world.place(MINE))
            assert is_refused(found) or "token" in str(found), f"{tool.name}: {found}"
    assert world.entries == before
