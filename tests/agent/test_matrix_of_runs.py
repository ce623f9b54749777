"""The same table for the tools that ask Dagster, before its real web server behind the door (A8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.tools.call import ToolCall
from agent.tools.dagster import DagsterDoor
from agent.tools.registry import all_tools
from agent.tools.tool import Tool
from drls_dagster import settings
from drls_dagster.lifecycle_client.calls import Lifecycle
from drls_dagster.lifecycle_client.http import HttpWay
from drls_dagster.lifecycle_client.local import LocalWay
from drls_dagster.settings import load_settings
from drls_dagster.up.web.mutations import MUTATIONS
from lifecycle.domain.people import WAY_IN, WayIn
from lifecycle.domain.roles import Role
from lifecycle.verbs import people
from tests.agent.matrix import BOTH, MINE, NOWHERE, PEOPLE, THEIRS, TRANSPORTS, Agrees, Place, add_people
from tests.agent.test_matrix import TABLE, is_refused, outcome, unnamed
from tests.security.door import LOCATION, Door, open_door

# Dagster's own web server uses what Dagster has deprecated.
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning"
    ),
    pytest.mark.tables,
    pytest.mark.slow,
]
RUNS = [one for one in all_tools() if one.name in TABLE and TABLE[one.name].dagster]
# Mutations that take an Admin, with arguments.
ADMINS = {
    "deleteRun": 'mutation { deleteRun(runId: "%s") { __typename } }',
    "deletePipelineRun": 'mutation { deletePipelineRun(runId: "%s") { __typename } }',
    "wipeAssets": "mutation { wipeAssets(assetPartitionRanges: []) { __typename } }",
    "shutdownRepositoryLocation": (
        f'mutation {{ shutdownRepositoryLocation(repositoryLocationName: "{LOCATION}") {{ __typename }} }}'
    ),
    "setAutoMaterializePaused": "mutation { setAutoMaterializePaused(paused: true) }",
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with open_door(tmp_path_factory.mktemp("door")) as found:
        add_people(found.life)
        yield found


@pytest.fixture(scope="module")
def places(door: Door) -> dict[str, Place]:
    return {NOWHERE: Place(NOWHERE, 999_999), MINE: a_run(door, MINE), THEIRS: a_run(door, THEIRS)}


def a_run(door: Door, pipeline: str) -> Place:
    return Place(pipeline, 0, door.run_of(door.launch("adam", pipeline)).run_id)


@pytest.fixture(autouse=True)
def in_its_home(door: Door, drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in door.environment.items():
        monkeypatch.setenv(name, value)
    settings._load.cache_clear()


def agent_call(door: Door, who: str, transport: str) -> ToolCall:
    client: Any = door.client
    own = Lifecycle(HttpWay(client, door.token(who, BOTH), "here"))
    token = own.ask(people.agent_token, {"agent": "claude"}).token
    near: Any = LocalWay(door.life.ctx, token, host="here", os_user="me", way_in=WayIn.MCP)
    lifecycle = Lifecycle(near if transport == "store" else HttpWay(client, token, "here"))
    way = DagsterDoor("http://localhost", lambda: token, http=client)
    return ToolCall(lifecycle, frozenset(BOTH), load_settings(door.home), client=Agrees(), dagster_of=lambda: way)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("tool", RUNS, ids=lambda one: one.name)
def test_a8_the_table_holds_for_runs(
    door: Door, places: dict[str, Place], tool: Tool, who: str, transport: str
) -> None:
    (role, on), entry = PEOPLE[who], TABLE[tool.name]
    call, allowed = agent_call(door, who, transport), entry.allows(role)
    if tool.name == "cancel_run":
        # One that is over says so, also to who may only see it.
        places = {name: one if name == NOWHERE else a_run(door, name) for name, one in places.items()}
    found = {name: outcome(call, tool, place) for name, place in places.items()}
    assert is_refused(found[MINE]) is not allowed, f"{tool.name} of {who}: {found[MINE]}"
    assert is_refused(found[THEIRS]) is not (allowed and not on), f"{tool.name} of {who}: {found[THEIRS]}"
    if on:
        told = [unnamed(found[name], places[name]) for name in (THEIRS, NOWHERE)]
        assert told[0] == told[1], "it tells that there is one"
        assert THEIRS not in str(found[MINE])


def test_a8_what_takes_an_admin_in_dagster_is_not_for_the_agent_of_one(door: Door, places: dict[str, Place]) -> None:
    assert {name for name, rule in MUTATIONS.items() if rule.role is Role.ADMIN} >= set(ADMINS)
    client: Any = door.client
    own = Lifecycle(HttpWay(client, door.token("adam"), "here"))
    token = own.ask(people.agent_token, {"agent": "claude"}).token
    headers = {"Authorization": f"Bearer {token}", WAY_IN: "mcp"}
    for name, query in ADMINS.items():
        sent = {"query": query.replace("%s", places[THEIRS].run)}
        answer = door.client.post("/dagster/graphql", json=sent, headers=headers)
        assert (answer.status_code, "claude.adam is an agent" in answer.text) == (403, True), f"{name}: {answer.text}"
    assert door.instance.get_run_by_id(places[THEIRS].run) is not None
    paused = door.client.post(
        "/dagster/graphql",
        json={"query": "mutation { setAutoMaterializePaused(paused: true) }"},
        headers=door.bearer("adam"),
    )
    assert paused.status_code == 200


def test_a8_a_run_that_an_agent_started_is_admitted_and_logged_with_its_person(door: Door) -> None:
    call = agent_call(door, "nora", "server")
    (tool,) = [one for one in RUNS if one.name == "run"]
    assert not is_refused(outcome(call, tool, Place(MINE, 0)))
    with door.life.store.read() as view:
        agent = view.people.named("claude.nora")
        (entry,) = view.log.search(verb="dagster.changed", who="claude.nora", limit=1)
        assert (entry.actor["name"], entry.actor["acts_for"]) == ("claude.nora", "nora")
        (newest,) = door.instance.get_runs(limit=1)
        admission = view.runs.admission(newest.run_id, view.pipelines.named(MINE).id)
    assert admission is not None
    assert admission.admitted_by == agent.id
