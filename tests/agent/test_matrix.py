"""Who may call which tool, by which way, with which toolsets: one written table, tried for everybody (A8).

A tool that is not in TABLE fails here. What only Dagster knows is tried in `test_matrix_of_runs`, before a real one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest

from agent.tools.call import ToolCall
from agent.tools.dispatch import find_tool, invoke
from agent.tools.errors import ToolError
from agent.tools.registry import all_tools, tools_for
from agent.tools.tool import Effect, Tool, Toolset
from drls_dagster import settings
from drls_dagster.errors import DrlsError
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.roles import Role
from lifecycle.errors import Forbidden, NotFound, Unauthorized
from tests.agent.matrix import BOTH, MINE, NOWHERE, PEOPLE, THEIRS, TRANSPORTS, Place, World, matrix_world, words

ROLES = (None, Role.VIEWER, Role.DATA_ENGINEER, Role.LEAD, Role.ADMIN)
Given = Callable[[Place], Mapping[str, Any]]


@dataclass(frozen=True)
class Entry:
    """`may`: a letter for each of ROLES, y or n, on the pipeline that it is asked about.

    `given`: what it is asked about a pipeline. `everywhere`: it names no pipeline, and answers of those that its caller
    sees. `dagster`: it asks Dagster.
    """

    toolset: Toolset
    effect: Effect
    may: str
    given: Given
    everywhere: bool = False
    dagster: bool = False

    def allows(self, role: Role | None) -> bool:
        return self.may[ROLES.index(role)] == "y"


def _nothing(_place: Place) -> Mapping[str, Any]:
    return {}


#                                                        none, Viewer, DataEngineer, Lead, Admin
TABLE: dict[str, Entry] = {
    "list_pipelines": Entry(Toolset.READ, Effect.READ, "nyyyy", _nothing, everywhere=True),
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
LOCAL = [one for one in all_tools() if one.name in TABLE and not TABLE[one.name].dagster]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("matrix") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRLS_HOME", str(home))
        settings._load.cache_clear()
        with matrix_world(home) as made:
            yield made
    settings._load.cache_clear()


def test_a8_every_tool_has_an_entry_that_is_true() -> None:
    """A new tool needs a line in TABLE: for whom it is, and what it is asked about a pipeline."""
    said = {one.name: (one.toolset, one.effect, one.role, one.scope) for one in all_tools()}
    assert set(said) == set(TABLE), "write down who may call a new tool"
    for name, entry in TABLE.items():
        least = next(role for role in ROLES if entry.allows(role))
        assert least is not None, f"{name}: nothing is for people without a role"
        assert entry.may == "n" * ROLES.index(least) + "y" * (len(ROLES) - ROLES.index(least)), name
        scope = TokenScope.READ if entry.effect is Effect.READ else TokenScope.WRITE
        assert said[name] == (entry.toolset, entry.effect, least, scope), name


@pytest.mark.parametrize("scopes", [(), (TokenScope.READ,), (TokenScope.WRITE,), BOTH, tuple(TokenScope)], ids=str)
def test_a8_toolsets_and_scopes_narrow_what_is_offered(scopes: tuple[TokenScope, ...]) -> None:
    call = ToolCall(None, frozenset(scopes), None)  # type: ignore[arg-type]
    for count in range(len(Toolset) + 1):
        for wanted in combinations(Toolset, count):
            chosen = set(wanted) or set(Toolset) - {Toolset.DRLS1}
            expected = {
                name
                for name, one in TABLE.items()
                if one.toolset in chosen
                and (TokenScope.READ if one.effect is Effect.READ else TokenScope.WRITE) in scopes
            }
            assert {one.name for one in tools_for(scopes, wanted)} == expected
            for name in TABLE:
                if name in expected:
                    assert find_tool(name, call, wanted).name == name
                else:
                    with pytest.raises(ToolError, match="there is no tool"):
                        find_tool(name, call, wanted)


def outcome(call: ToolCall, tool: Tool, place: Place) -> DrlsError | str:
    """What it answered, or how it was refused; an error of another kind says that it was let in."""
    try:
        return words(invoke(find_tool(tool.name, call, [tool.toolset]), call, TABLE[tool.name].given(place)))
    except DrlsError as error:
        assert "\n" not in error.message, error.message
        return error


def is_refused(found: DrlsError | str) -> bool:
    cause = found.__cause__ if isinstance(found, ToolError) and found.__cause__ else found
    if isinstance(cause, Forbidden | NotFound | Unauthorized):
        return True
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
    mine = outcome(call, tool, world.places[MINE])
    assert is_refused(mine) is not allowed, f"{tool.name} of {who}: {mine}"
    if entry.everywhere:
        if allowed and isinstance(mine, str):
            assert (THEIRS in mine) is not bool(on), f"{who} sees {mine}"
        return
    theirs, nowhere = (outcome(call, tool, world.places[name]) for name in (THEIRS, NOWHERE))
    assert is_refused(theirs) is not (allowed and not on), f"{tool.name} of {who}: {theirs}"
    if on:
        assert unnamed(theirs, THEIRS) == unnamed(nowhere, NOWHERE), "it tells that the pipeline exists"


def unnamed(found: DrlsError | str, name: str) -> str:
    """What was said, without the name that was asked for, nor ids."""
    text = f"{type(found).__name__}: {found.message}" if isinstance(found, DrlsError) else found
    return text.replace(name, "…")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("who", ["ada", "adam", "nora"])
def test_a8_a_token_that_reads_changes_nothing_whatever_its_holder_claims(
    world: World, who: str, transport: str
) -> None:
    honest = world.call(who, transport, TokenScope.READ)
    assert honest.scopes == {TokenScope.READ}
    claims = ToolCall(honest.lifecycle, frozenset(BOTH), honest.settings, unattended=True, client=honest.client)
    before = world.entries
    for tool in LOCAL:
        if tool.effect is not Effect.READ:
            with pytest.raises(ToolError, match="there is no tool"):
                find_tool(tool.name, honest)
            found = outcome(claims, tool, world.places[MINE])
            assert is_refused(found) or "token" in str(found), f"{tool.name}: {found}"
    assert world.entries == before
