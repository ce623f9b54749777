"""What agents are told of tables, and the checks that are proposed to them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
import yaml

from agent.tools.dispatch import LONGEST_ANSWER, find_tool, invoke
from agent.tools.errors import ToolError
from agent.tools.registry import tools_for
from agent.tools.schema import size
from agent.tools.tool import Toolset
from drls_dagster.settings import load_settings
from lifecycle.domain.credentials import TokenScope
from lifecycle.errors import Forbidden, Invalid, NotFound, Refused
from lifecycle.spec import MonitorNode
from tests.agent.matrix import MINE, matrix_world
from tests.iceberg_tables import make_table

TABLE = f"{MINE}.daily"


class Asking:
    """Tools, called as the agent of somebody."""

    def __init__(self, world: Any) -> None:
        self._world = world

    def __call__(self, name: str, given: Mapping[str, Any], who: str = "vic") -> dict[str, Any]:
        call = self._world.call(who, "store", TokenScope.READ)
        found = invoke(find_tool(name, call, list(Toolset)), call, given).data
        assert size(found) <= LONGEST_ANSWER
        return found


@pytest.fixture
def ask() -> Iterator[Asking]:
    with matrix_world(load_settings().home) as world:
        yield Asking(world)


def test_a_table_is_told_in_one_answer(ask: Asking) -> None:
    found = ask("get_table", {"table": TABLE, "statistics": True})
    assert found["columns"] == ["x: long; 0 nulls; 1 to 2; about 2 distinct; top: 1 (1), 2 (1)"]
    assert (found["rows"], found["columns_total"]) == (2, 1)
    assert found["about"][0] == f"written by {MINE} v1 (development, qa, uat)"
    assert found["about"][4].startswith(f"production: {TABLE} at main, snapshot ")
    assert found["about"][-2] == "statistics of all 2 rows"
    assert (
        found["about"][-1]
        == "health 100 of 100: Healthy: nothing to do (1 data files, 1 small, 0 delete files, 1 snapshots)"
    )
    assert found["next"] == "Show rows with preview_table, or ask for numbers with query."


def test_rows_come_with_names_types_and_snapshots(ask: Asking) -> None:
    found = ask("preview_table", {"table": TABLE, "rows": 1})
    assert (found["columns"], found["rows"]) == (["x: long"], [[1]])
    assert found["cut"] == "the first 1 rows; there are more"
    snapshot = ask("table_history", {"table": TABLE})["snapshots"][0]["snapshot_id"]
    assert ask("preview_table", {"table": TABLE, "snapshot": snapshot})["snapshot"] == snapshot
    answer = ask("query", {"sql": f"SELECT sum(x) AS total FROM {TABLE}"})
    assert (answer["columns"], answer["rows"]) == (["total: decimal(38, 0)"], [["3"]])
    assert answer["read"] == [f"{TABLE} at snapshot {snapshot}"]


def test_what_does_not_fit_is_said_in_a_line(ask: Asking) -> None:
    for name, given, error, said in (
        ("preview_table", {"table": TABLE, "snapshot": "x"}, ToolError, "a snapshot is a whole number"),
        ("preview_table", {"table": TABLE, "at": "2026-01-01T00:00:00"}, ToolError, "at has no time zone"),
        ("preview_table", {"table": TABLE, "rows": 201}, ToolError, "less than or equal to 200"),
        ("preview_table", {"table": TABLE, "columns": ["y"]}, NotFound, "has no column 'y'"),
        ("query", {"sql": "SELECT * FROM read_text('/etc/passwd')"}, Invalid, "read_text"),
        ("query", {"sql": "SELECT * FROM lab.nothing"}, NotFound, "no table lab.nothing that you may see"),
        ("table_history", {"table": TABLE, "ref": "nope"}, NotFound, "has no ref 'nope'"),
    ):
        with pytest.raises(error) as refused:
            ask(name, given)
        assert said in refused.value.message
        assert "\n" not in refused.value.message


def test_spark_answers_who_may_start_runs(ask: Asking) -> None:
    """It is the engine that pipelines run on. Nothing of it is connected here."""
    given = {"sql": f"SELECT x FROM {TABLE}", "engine": "spark"}
    for who in ("vic", "vera"):
        with pytest.raises(Forbidden, match="a query in Spark needs the role DataEngineer on a pipeline"):
            ask("query", given, who=who)
    for who in ("ada", "nora"):
        with pytest.raises(Refused, match="ask DuckDB"):
            ask("query", given, who=who)


def test_long_answers_are_cut_and_say_how_to_go_on(ask: Asking) -> None:
    text = "x" * 5_000
    make_table("lab.long", {f"name_{number:04}": [text] * 50 for number in range(80)})
    found = ask("get_table", {"table": "lab.long"})
    assert (len(found["columns"]), found["after"], found["columns_total"]) == (60, 60, 80)
    rest = ask("get_table", {"table": "lab.long", "after": 60})
    assert len(rest["columns"]) == 20
    assert "after" not in rest
    assert ask("get_table", {"table": "lab.long", "column": "0079"})["columns"] == ["name_0079: string"]
    rows = ask("preview_table", {"table": "lab.long", "columns": ["name_0001"]})
    assert rows["rows"][0][0].endswith("… (5,000 characters)")
    with pytest.raises(ToolError, match="one row is too long"):
        ask("preview_table", {"table": "lab.long"})
    cut = ask("query", {"sql": "SELECT name_0001 AS n, name_0002 AS m FROM lab.long, range(100)", "rows": 500})
    assert "because more are over" in cut["cut"]
    with pytest.raises(ToolError, match="columns are too many"):
        ask("query", {"sql": f"SELECT {', '.join(f'1 AS a_rather_long_name_{one}' for one in range(300))}"})


@pytest.mark.slow
def test_five_hundred_columns_fit_into_answers(ask: Asking) -> None:
    make_table("lab.wide", {f"c{number}": [number] for number in range(500)})
    found = ask("get_table", {"table": "lab.wide", "statistics": True})
    assert (len(found["columns"]), found["columns_total"]) == (60, 500)
    rows = ask("preview_table", {"table": "lab.wide"})
    assert (len(rows["columns"]), rows["cut"]) == (60, "the first 60 of 500 columns")
    assert ask("query", {"sql": "SELECT c499 FROM lab.wide"})["rows"] == [[499]]
    first = ask("get_schema", {"table": "lab.wide"})
    assert "after=" in first["next"]


def test_the_first_drlss_tools_answer_with_its_shapes(ask: Asking) -> None:
    assert {one.name for one in tools_for([TokenScope.READ], [Toolset.DRLS1])} == {
        "list_tables", "get_table_health", "get_schema", "table_history"
    }  # fmt: skip
    listed = ask("list_tables", {})
    assert listed["namespaces"] == ["mine", "theirs"]
    assert listed["tables"] == [TABLE, "theirs.daily"]
    assert ask("list_tables", {}, who="vera")["tables"] == [TABLE]
    assert ask("list_tables", {"after": TABLE})["tables"] == ["theirs.daily"]
    assert ask("get_table_health", {"table": TABLE}) == {
        "next": "", "snapshot_count": 1, "data_file_count": 1, "small_file_count": 1,
        "recommendation": "Healthy: nothing to do",
    }  # fmt: skip
    assert ask("get_schema", {"table": TABLE})["columns"] == [{"name": "x", "type": "long", "nullable": True}]
    (snapshot,) = ask("table_history", {"table": TABLE})["snapshots"]
    assert (snapshot["added_rows"], snapshot["refs"]) == (2, ["main"])


def test_history_comes_in_pages(ask: Asking) -> None:
    make_table("lab.many", *[{"x": [number]} for number in range(4)])
    first = ask("table_history", {"table": "lab.many", "limit": 3})
    rest = ask("table_history", {"table": "lab.many", "before": first["before"]})
    assert [one["rows"] for one in (*first["snapshots"], *rest["snapshots"])] == [4, 3, 2, 1]
    assert "before" not in rest


def test_checks_rest_on_what_is_in_the_table(ask: Asking) -> None:
    now = datetime.now(UTC)
    make_table(
        "lab.orders",
        pa.table(
            {
                "id": pa.array(range(100), pa.int64()),
                "twice": pa.array([*range(99), 0], pa.int64()),
                "state": ["open", "paid", "sent: #1", "back\n- x"] * 25,
                "amount": [1.5] * 99 + [None],
                "ratio": [float("inf")] * 100,
                "odd name": [1] * 100,
                "at": pa.array([now - timedelta(hours=30)] * 100, pa.timestamp("us", "UTC")),
                "old": pa.array([datetime(2001, 1, 1)] * 100, pa.timestamp("us")),
            }
        ),
    )
    found = ask("suggest_checks", {"table": "lab.orders"})
    (node,) = yaml.safe_load(found["yaml"])
    monitor = MonitorNode.model_validate(node)
    assert (monitor.id, found["rows"]) == ("orders_checks", 100)
    checks = [{name: value for name, value in one.items() if name != "severity"} for one in node["checks"]]
    full = ["id", "twice", "state", "ratio", "at", "old"]
    assert checks == [
        {"kind": "row_count", "min": 50},
        {"kind": "not_null", "columns": full},
        {"kind": "unique", "columns": ["id"]},
        {"kind": "range", "column": "twice", "min": 0, "max": 98},
        {"kind": "accepted_values", "column": "state", "values": ["back\n- x", "open", "paid", "sent: #1"]},
        {"kind": "range", "column": "amount", "min": 1.5, "max": 1.5},
        {"kind": "freshness", "column": "at", "within": "3d"},
    ]
    assert "# 100 different values in 100 rows" in found["yaml"]
    assert "# 0 of 100 rows are null" in found["yaml"]


def test_an_empty_table_teaches_nothing(ask: Asking) -> None:
    make_table("lab.empty", pa.table({"x": pa.array([], pa.int64())}))
    found = ask("suggest_checks", {"table": "lab.empty"})
    assert (found["yaml"], found["rows"]) == ("", 0)
    assert json.dumps(found)
