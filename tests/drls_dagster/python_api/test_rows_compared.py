"""Rows that tests give and expect: how they are typed, and how a difference reads."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import drls_dagster as drls
from drls_dagster.python_api.testing.bench import typed_rows
from drls_dagster.python_api.testing.comparing import difference
from drls_dagster.python_api.testing.tested import open_test
from lifecycle.spec import PipelineSpec, parse_pipeline

FOUND = pa.table(
    {
        "day": pa.array([date(2026, 3, 1), date(2026, 3, 2)]),
        "amount": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
        "share": pa.array([0.1 + 0.2, math.nan]),
        "tags": pa.array([["a"], []]),
    }
)


def spec(source: dict[str, Any]) -> PipelineSpec:
    nodes = [
        {"id": "raw", "type": "source", "source": source},
        {"id": "out", "type": "sink", "table": "ns.out", "mode": "overwrite"},
    ]
    edges = [{"from": "raw", "to": "out"}]
    return parse_pipeline(json.dumps({"format_version": 1, "name": "p", "nodes": nodes, "edges": edges}))


FILES = {
    "kind": "files",
    "format": "json",
    "path": "*",
    "schema": {"id": "long", "day": "date", "price": "decimal(10,2)"},
}
TABLE = {"kind": "iceberg", "table": "ns.t"}


@pytest.mark.parametrize(
    "expected",
    [
        [{"day": "2026-03-02", "amount": None, "share": math.nan, "tags": []},
         {"day": date(2026, 3, 1), "amount": 1.5, "share": 0.3, "tags": ["a"]}],
        [{"amount": "1.50"}, {"amount": None}],
        FOUND.select(["share", "day"]),
        pd.DataFrame({"day": [date(2026, 3, 1), date(2026, 3, 2)]}),
    ],
)  # fmt: skip
def test_rows_are_equal_in_any_order_in_the_columns_and_the_types_that_count(expected: Any) -> None:
    assert difference("daily", expected, FOUND) is None


def test_a_difference_names_the_value_the_row_and_how_many_fit() -> None:
    told = difference("daily", [{"day": "2026-03-01", "amount": "1.50"}, {"day": "2026-03-02", "amount": "2"}], FOUND)
    assert told == (
        "node 'daily': 1 differ, 1 as expected\n  differs     day=2026-03-02: amount is null, expected 2.00"
    )
    told = difference("daily", [{"day": "2026-03-01"}, {"day": "2026-03-05"}], FOUND)
    assert told == (
        "node 'daily': 1 missing, 1 unexpected, 1 as expected\n"
        "  missing     day=2026-03-05\n"
        "  unexpected  day=2026-03-02"
    )
    assert difference("daily", [], FOUND.select(["day"])) == (
        "node 'daily': 2 unexpected\n  unexpected  day=2026-03-01\n  unexpected  day=2026-03-02"
    )
    assert (
        difference("daily", [{"dya": 1}], FOUND) == "node 'daily' has no column 'dya'; it has day, amount, share, tags"
    )


def test_rows_that_come_twice_count_twice() -> None:
    found = pa.table({"id": [1, 1, 2]})
    assert difference("n", [{"id": 1}, {"id": 2}, {"id": 1}], found) is None
    assert difference("n", [{"id": 1}, {"id": 2}, {"id": 2}], found) == (
        "node 'n': 1 missing, 1 unexpected, 2 as expected\n  missing     id=2\n  unexpected  id=1"
    )


def test_many_differences_are_cut() -> None:
    told = difference("n", [], pa.table({"id": list(range(30))}))
    assert told is not None
    assert told.splitlines()[-1] == "  … and 20 more"


def test_given_rows_have_the_schema_of_their_source() -> None:
    made = typed_rows(spec(FILES), {"raw": [{"id": 1, "day": "2026-03-01"}, {"price": "2.5"}]}, {})["raw"]
    assert made.schema == pa.schema([("id", pa.int64()), ("day", pa.date32()), ("price", pa.decimal128(10, 2))])
    assert made.to_pylist()[1] == {"id": None, "day": None, "price": Decimal("2.50")}
    assert typed_rows(spec(FILES), {"raw": []}, {})["raw"].num_rows == 0
    csv = spec({**FILES, "format": "csv"})
    assert typed_rows(csv, {"raw": [{"id": 1, "more": "x"}]}, {})["raw"].column_names == ["id", "day", "price", "more"]


def test_given_rows_of_a_table_have_the_types_of_their_values_and_of_the_test() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    rows = [{"id": 1}, {"id": 2, "at": at, "price": 1}]
    made = typed_rows(spec(TABLE), {"raw": rows}, {"raw": {"price": "decimal(10,2)"}})["raw"]
    assert made.schema.field("price").type == pa.decimal128(10, 2)
    assert made.to_pylist() == [{"id": 1, "at": None, "price": None}, {"id": 2, "at": at, "price": Decimal("1.00")}]
    frame = pd.DataFrame({"id": [1], "wall": [datetime(2026, 3, 1)]})
    assert typed_rows(spec(TABLE), {"raw": frame}, {})["raw"].schema.field("wall").type == pa.timestamp("us")
    changes = spec({**TABLE, "read": "full"})
    assert typed_rows(changes, {"raw": pa.table({"id": [1]})}, {})["raw"].column_names == ["id"]


@pytest.mark.parametrize(
    ("source", "given", "types", "told"),
    [
        (FILES, {"row": []}, {}, "pipeline 'p' has no node 'row' with rows; it has: raw, out"),
        (
            FILES,
            {"raw": [{"idd": 1}]},
            {},
            "given rows of 'raw' have a column 'idd', which is not among: id, day, price",
        ),
        (FILES, {"raw": [{"id": "x"}]}, {}, "given rows of 'raw', column 'id': its values cannot be read as int64"),
        (FILES, {"raw": ["x"]}, {}, "given rows of 'raw': a row is a dict of columns and values, not str"),
        (TABLE, {"raw": []}, {}, "given rows of 'raw': nothing says which columns there are"),
        (TABLE, {"raw": [{"id": None}]}, {}, "given rows of 'raw', column 'id': no value says its type"),
        (TABLE, {"raw": [{"id": 1}, {"id": "x"}]}, {}, "given rows of 'raw', column 'id': its values cannot be read: "),
        (TABLE, {"raw": [{"id": 1}]}, {"raw": {"id": "longer"}}, "types of 'raw': 'longer' is not a column type"),
    ],
)
def test_rows_that_cannot_be_used_are_named_in_a_line(source: Any, given: Any, types: Any, told: str) -> None:
    with pytest.raises(drls.UsageError) as caught:
        typed_rows(spec(source), given, types)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_test_that_cannot_be_run_says_so_before_it_needs_the_engine(tmp_path: Path) -> None:
    pipeline = drls.Pipeline("p").source("a", "rate").source("b", "rate")
    pipeline = pipeline.sql("both", "SELECT a.value FROM a JOIN b USING (value)").sink("out", "ns.t", "overwrite")
    pipeline = pipeline.monitor("ok", drls.spec.RowCount(min=1))
    rows = {"a": [{"value": 1}]}
    tested = open_test(pipeline, rows)
    for ask, told in (
        (lambda: tested.rows("both"), "'both' reads 'b', of which the test gives no rows; add it to given"),
        (lambda: tested.rows("no"), "has no node 'no' with rows; it has: a, b, both, out"),
        (
            lambda: tested.expect_checks(["row_count"]),
            "check 'ok.row_count' reads 'b', of which the test gives no rows",
        ),
        (lambda: tested.expect_checks(["no"]), "has no check 'no'; it has: ok.row_count"),
        (lambda: open_test(pipeline, rows, partition="x"), "is not partitioned; remove partition="),
        (lambda: open_test(pipeline, rows, parameters={"x": 1}), "has no parameter 'x'"),
        (lambda: open_test("nope", rows), "there is no pipeline 'nope'"),
    ):
        with pytest.raises(drls.DrlsError) as caught:
            ask()
        assert told in str(caught.value)
    tested.expect_checks()  # none can be reached
    tested.close()
