"""What agents do to tables: planned for whoever sees them, done for a Lead, and only after a person's yes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from agent.tools.call import NoClient
from agent.tools.dispatch import find_tool, invoke
from agent.tools.errors import NeedsConfirmation, ToolError
from agent.tools.tool import Toolset
from drls_dagster import settings
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import load_settings
from lifecycle.errors import Conflict, Forbidden, LifecycleError, NotFound
from tests.agent.matrix import BOTH, MINE, Agrees, World, matrix_world
from tests.agent.tools.conftest import Asked
from tests.iceberg_tables import make_table

DAILY = f"{MINE}.daily"


class Hands:
    """Tools, called as the agent of somebody whose answer to every question is known."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __call__(
        self,
        name: str,
        *,
        by: str = "lea",
        client: NoClient | Asked | None = None,
        unattended: bool = False,
        **given: Any,
    ) -> dict[str, Any]:
        call = replace(self.world.call(by, "store", *BOTH), client=client or Agrees(), unattended=unattended)
        return invoke(find_tool(name, call, list(Toolset)), call, given).data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hands]:
    home = tmp_path_factory.mktemp("changing") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRLS_HOME", str(home))
        settings._load.cache_clear()
        with matrix_world(load_settings().home) as world:
            yield Hands(world)
    settings._load.cache_clear()


@pytest.fixture
def hands(made: Hands, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hands]:
    """In the home that all tests of this file share."""
    monkeypatch.setenv("DRLS_HOME", str(made.world.settings.home))
    settings._load.cache_clear()
    yield made
    settings._load.cache_clear()


def columns(table: str) -> list[str]:
    return load_catalog().load_table(table).schema().column_names


def operations(hands: Hands) -> str:
    return hands("maintain", action="list")["state"]


def test_maintenance_is_planned_by_a_viewer_and_done_for_a_lead(hands: Hands) -> None:
    plan = hands("maintain", by="vic", action="expire", table=DAILY)
    assert (plan["state"], plan["next"]) == ("nothing was done", "call again with dry_run=false to do it")
    with pytest.raises(Forbidden):
        hands("maintain", by="vic", action="expire", table=DAILY, dry_run=False)
    before = operations(hands)
    with pytest.raises(ToolError, match="another by now"):
        hands("maintain", action="expire", table=DAILY, dry_run=False, plan_digest="sha256:of-yesterday")
    assert operations(hands) == before

    yes = Asked(True)
    done = hands("maintain", client=yes, action="expire", table=DAILY, dry_run=False, plan_digest=plan["plan_digest"])
    assert done["state"] == "done"
    (question,) = yes.questions
    assert question.startswith(f"expire {DAILY} at main: needed")
    shown = hands("maintain", by="vic", action="show", operation=done["operation"])
    assert f"expire of {DAILY} at main, by claude" in shown["lines"][0]
    with pytest.raises(LifecycleError, match="there is nothing to cancel"):
        hands("maintain", action="cancel", operation=done["operation"])


def test_maintenance_asks_in_every_environment(hands: Hands) -> None:
    make_table(f"{MINE}__development.daily", {"x": [1]})
    before = operations(hands)
    for environment, table in ((None, DAILY), ("production", DAILY), ("development", f"{MINE}__development.daily")):
        given = {"action": "expire", "table": DAILY, "environment": environment, "dry_run": False}
        no = Asked(False)
        with pytest.raises(ToolError, match="the person said no"):
            hands("maintain", client=no, **given)
        assert no.questions[0].startswith(f"expire {table} at main: needed")
        with pytest.raises(NeedsConfirmation):
            hands("maintain", client=NoClient(), **given)
    assert operations(hands) == before


def test_a_token_for_it_maintains_without_asking_and_files_are_listed_without(hands: Hands) -> None:
    given = {"action": "orphans", "table": DAILY, "dry_run": False}
    listed = hands("maintain", client=NoClient(), options={"dry_run": True}, **given)
    assert listed["state"] == "done"
    with pytest.raises(NeedsConfirmation):
        hands("maintain", client=NoClient(), options={"dry_run": False}, **given)
    assert hands("maintain", client=NoClient(), unattended=True, options={"dry_run": False}, **given)["state"] == "done"


def test_a_change_is_planned_by_a_viewer_and_made_for_a_lead_who_says_yes(hands: Hands) -> None:
    for name in (f"{MINE}.shape", f"{MINE}__development.shape"):
        make_table(name, {"x": [1], "y": [2]})
    given = {"table": f"{MINE}.shape", "change": {"kind": "rename_column", "column": "y", "to": "z"}}
    seen = hands("change_table", by="vic", **given)
    assert (seen["done"], seen["changes"]) == (False, ["rename column y to z"])
    assert "Lead" in seen["refused"][0]
    assert seen["next"] == ""
    with pytest.raises(Forbidden):
        hands("change_table", by="vic", **given, dry_run=False)

    plan = hands("change_table", **given)
    assert (plan["refused"], plan["next"]) == ([], "call again with dry_run=false to change it")
    for environment in (None, "development"):
        with pytest.raises(ToolError, match="the person said no"):
            hands("change_table", client=Asked(False), **given, environment=environment, dry_run=False)
        with pytest.raises(NeedsConfirmation):
            hands("change_table", client=NoClient(), **given, environment=environment, dry_run=False)
    assert columns(f"{MINE}.shape") == columns(f"{MINE}__development.shape") == ["x", "y"]
    yes = Asked(True)
    done = hands("change_table", client=yes, **given, dry_run=False, plan_digest=plan["plan_digest"], key="only-once")
    assert (done["done"], yes.questions) == (True, [f"Change {MINE}.shape: rename column y to z?"])
    assert columns(f"{MINE}.shape") == ["x", "z"]
    again = {**given, "change": {"kind": "set_doc", "column": "x", "doc": "a number"}}
    with pytest.raises(ToolError, match="another by now"):
        hands("change_table", **again, dry_run=False, plan_digest=plan["plan_digest"])


def test_what_a_person_agreed_to_is_what_is_made(hands: Hands) -> None:
    make_table(f"{MINE}.moving", {"x": [1], "y": [2]})
    given = {"table": f"{MINE}.moving", "change": {"kind": "add_column", "column": "z", "type": "long"}}

    class Meanwhile(Agrees):
        def confirm(self, question: str) -> bool:
            load_catalog().drop_table(f"{MINE}.moving")
            make_table(f"{MINE}.moving", {"q": [1]})
            return True

    with pytest.raises(Conflict, match="look at the plan again"):
        hands("change_table", client=Meanwhile(), **given, dry_run=False)
    assert columns(f"{MINE}.moving") == ["q"]


def test_every_kind_of_change_is_made(hands: Hands) -> None:
    name = f"{MINE}.all"
    make_table(name, {"x": [1], "y": [2]}, {"x": [3], "y": [4]})
    first = load_catalog().load_table(name).metadata.snapshots[0].snapshot_id
    for change, said in (
        ({"kind": "add_column", "column": "note", "type": "string", "doc": "free"}, "add column note string"),
        ({"kind": "move_column", "column": "note", "first": True}, "move"),
        ({"kind": "set_doc", "column": "note", "doc": "less free"}, "note"),
        ({"kind": "rename_column", "column": "note", "to": "remark"}, "rename column note to remark"),
        ({"kind": "drop_column", "column": "remark"}, "drop column remark"),
        ({"kind": "alter_partitions", "add": ["bucket(4, x)"]}, ""),
        ({"kind": "alter_partitions", "drop": ["bucket(4, x)"], "add": ["y"]}, ""),
        ({"kind": "alter_partitions", "drop": ["y"]}, ""),
        ({"kind": "set_sort_order", "sort_by": ["x desc"]}, ""),
        ({"kind": "set_ref", "ref": "kept", "type": "branch", "to": str(first)}, "kept"),
        ({"kind": "fast_forward", "ref": "kept", "to": "main"}, "kept"),
        ({"kind": "drop_ref", "ref": "kept"}, "kept"),
        ({"kind": "roll_back", "to": str(first)}, str(first)),
    ):
        done = hands("change_table", table=name, change=change, dry_run=False)
        assert done["done"], done
        assert said in str(done["changes"]), done
    table = load_catalog().load_table(name)
    assert table.current_snapshot().snapshot_id == first  # type: ignore[union-attr]
    assert (table.schema().column_names, set(table.metadata.refs)) == (["x", "y"], {"main"})


def test_what_is_wrong_with_a_change_is_said_in_a_line(hands: Hands) -> None:
    for change, error, said in (
        ({}, ToolError, "change: .*kind"),
        ({"kind": "drop_table"}, ToolError, "change: .*drop_table"),
        ({"kind": "add_column", "column": "z"}, ToolError, "change: add_column.type: Field required"),
        ({"kind": "drop_column", "column": "x", "cascade": True}, ToolError, "change: drop_column.cascade"),
        ({"kind": "drop_column", "column": "nope"}, LifecycleError, "nope"),
        ({"kind": "alter_partitions", "drop": ["x"], "add": ["y", "z"]}, ToolError, "cannot be replaced at once"),
    ):
        with pytest.raises(error, match=said) as refused:
            hands("change_table", table=DAILY, change=change, dry_run=False)
        assert "\n" not in refused.value.message
    with pytest.raises(NotFound, match="no table lab"):
        hands("change_table", table="lab.nothing", change={"kind": "drop_column", "column": "x"})
