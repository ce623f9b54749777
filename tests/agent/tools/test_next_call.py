"""Whatever changes shows in the very next call of a reading tool, though what did not change is not asked for again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from agent.tools.dispatch import find_tool, invoke
from agent.tools.tool import Toolset
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import load_settings
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.environment import Environment
from lifecycle.errors import DrlsError
from tests.agent.matrix import MINE, THEIRS, World, matrix_world
from tests.lifecycle.life import SETUP, make_spec

TABLE = f"{MINE}.daily"
SQL = f"SELECT count(*) AS n FROM {TABLE}"
# Every reading tool that this is about, and what it is asked.
ASKED: dict[str, dict[str, Any]] = {
    "search": {"kind": "pipeline"},
    "get_pipeline": {"name": MINE},
    "list_requests": {"pipeline": MINE},
    "get_request": {"id": 0},
    "history": {"pipeline": MINE},
    "lineage": {"name": TABLE},
    "what_was_production_at": {"time": "2099-01-01", "pipeline": MINE},
    "get_table": {"table": TABLE},
    "preview_table": {"table": TABLE},
    "query": {"sql": SQL},
}
Ask = Callable[..., Any]


@pytest.fixture
def world() -> Iterator[World]:
    with matrix_world(load_settings().home) as made:
        yield made


@pytest.fixture
def ask(world: World) -> Ask:
    def call(name: str, who: str = "vic", **more: Any) -> Any:
        given = {**ASKED[name], **({"id": world.place(MINE).request} if name == "get_request" else {}), **more}
        made = world.call(who, "store", TokenScope.READ)
        return invoke(find_tool(name, made, list(Toolset)), made, given).data

    return call


@pytest.mark.parametrize("name", ASKED)
def test_who_lost_their_grant_sees_nothing_of_what_they_saw(world: World, ask: Ask, name: str) -> None:
    assert ask(name, "vera") == ask(name, "vera")
    with world.life.store.write(SETUP, "revoke") as unit:
        for grant in unit.people.grants(world.life.person("vera")):
            unit.people.revoke_grant(grant)
            unit.audit("grant.revoked", f"grant:{grant.id}")
    try:
        seen = str(ask(name, "vera"))
    except DrlsError:
        seen = ""
    assert f"{MINE}'" not in seen
    assert "'rows'" not in seen
    assert ask(name, "vic")


@pytest.mark.parametrize("name", ASKED)
def test_who_may_see_less_gets_nothing_that_was_kept_for_others(ask: Ask, name: str) -> None:
    ask(name, "vic")
    if name == "search":
        assert THEIRS in str(ask(name, "vic"))
        assert THEIRS not in str(ask(name, "vera"))
    with pytest.raises(DrlsError):
        ask(name, "nil")


def test_a_new_snapshot_shows(ask: Ask) -> None:
    before = ask("preview_table"), ask("query"), ask("get_table")
    load_catalog().load_table(tuple(TABLE.split("."))).append(pa.table({"x": [7, 8, 9]}))
    rows, counted, table = ask("preview_table"), ask("query"), ask("get_table")
    assert [len(one["rows"]) for one in (before[0], rows)] == [2, 5]
    assert (before[1]["rows"], counted["rows"]) == ([[2]], [[5]])
    assert (before[2]["rows"], table["rows"]) == (2, 5)
    assert counted["read"] != before[1]["read"]


def test_a_new_version_and_a_new_run_show(world: World, ask: Ask) -> None:
    names = "get_pipeline", "history", "search"
    before = [ask(name) for name in names]
    saved = world.life.save(make_spec(MINE).model_copy(update={"description": "another"}))
    after = [ask(name) for name in names]
    assert (after[0]["version"], "another" in str(after[0])) == (before[0]["version"] + 1, True)
    assert ["v2" in str(one[1]["events"]) for one in (before, after)] == [False, True]
    assert "another" in str(after[2])
    world.life.to_qa(saved, MINE)
    run = world.life.begin(saved, Environment.QA, MINE)
    assert run in str(ask("get_pipeline"))
    assert run not in str(after[0])
