"""Tables to compare, and the difference that comparing one row at a time finds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import strategies as st
from pyiceberg.table import Table

from lifecycle.domain.data_diff import DataDiff, DiffLimits, RowKey, Side
from lifecycle.domain.environment import Environment
from tests.fakes.lake import LakePlane
from tests.fakes.rows import Difference, Row, canonical

_numbers = count()
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("part", pa.string()),
        ("ratio", pa.float64()),
        ("price", pa.decimal128(12, 2)),
        ("at", pa.timestamp("us", "UTC")),
        ("raw", pa.binary()),
        ("tags", pa.list_(pa.int32())),
        ("point", pa.struct([("x", pa.int32()), ("y", pa.float64())])),
        ("marks", pa.map_(pa.string(), pa.int32())),
        ("ok", pa.bool_()),
    ]
)
FLOATS = st.sampled_from([0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 1e300])
ROW = st.fixed_dictionaries(
    {
        "id": st.none() | st.integers(0, 6),
        "part": st.none() | st.sampled_from(["a", "b", ""]),
        "ratio": st.none() | FLOATS,
        "price": st.none() | st.sampled_from([Decimal("0.00"), Decimal("9.99"), Decimal("-1.50")]),
        "at": st.none() | st.sampled_from([datetime(1969, 7, 20, tzinfo=UTC), datetime(2026, 3, 1, 1, 2, 3, 4, UTC)]),
        "raw": st.none() | st.sampled_from([b"", b"\x00\xff<"]),
        "tags": st.none() | st.lists(st.none() | st.integers(0, 2), max_size=2),
        "point": st.none() | st.fixed_dictionaries({"x": st.none() | st.integers(0, 1), "y": st.none() | FLOATS}),
        "marks": st.none() | st.sampled_from([[], [("a", 1), ("b", 2)], [("b", 2), ("a", 1)]]),
        "ok": st.none() | st.booleans(),
    }
)
ROWS = st.lists(ROW, max_size=8)


def make(lake: LakePlane, schema: pa.Schema = SCHEMA, **properties: str) -> Table:
    return lake.catalog.create_table(f"lab.rows{next(_numbers)}", schema, properties=properties)


def name(table: Table) -> str:
    return ".".join(table.name())


def append(table: Table, rows: Sequence[Row], schema: pa.Schema = SCHEMA) -> int:
    table.append(pa.Table.from_pylist(list(rows), schema))
    return head(table)


def head(table: Table) -> int:
    snapshot = table.refresh().current_snapshot()
    assert snapshot is not None
    return snapshot.snapshot_id


def compare(
    lake: LakePlane, table: str, before: int | None, after: int | None, keys: Sequence[str] = (), **limits: Any
) -> DataDiff:
    sides = (Side(environment=Environment.PRODUCTION, snapshot=one) for one in (before, after))
    return lake.compare(table, *sides, promised(*keys), DiffLimits(**limits), lambda _: None)


def promised(*columns: str) -> list[RowKey]:
    return [RowKey(columns=columns, because="they are unique")] if columns else []


def plain(rows: Sequence[Row]) -> list[Row]:
    """Maps without an order, as they are compared."""
    return [{**row, "marks": row["marks"] and sorted(row["marks"])} if "marks" in row else row for row in rows]


def check(diff: DataDiff, found: Difference, keys: Sequence[str]) -> None:
    assert (diff.added, diff.removed) == (found.added.total(), found.removed.total())
    assert diff.changed == (len(found.changed) if keys else None)
    if keys:
        for column in diff.columns:
            if column.column not in keys:
                assert column.changed == found.changed_in(column.column), column.column
    assert sum(row.times for row in diff.added_rows) == found.added.total()
    assert sum(row.times for row in diff.removed_rows) == found.removed.total()
    assert sum(len(row.cells) for row in diff.changed_rows) == sum(map(found.changed_in, found.columns))


def check_statistics(diff: DataDiff, side: str, rows: Sequence[Row]) -> None:
    for column in diff.columns:
        shown = getattr(column, side)
        values = [canonical(row[column.column]) for row in rows if row[column.column] is not None]
        nan = canonical(float("nan"))
        assert shown.nulls == len(rows) - len(values), column.column
        if column.column in ("tags", "point", "marks"):
            assert (shown.min, shown.distinct) == (None, None)
            continue
        ordered: list[Any] = [value for value in values if value is not nan]
        assert shown.distinct == len(set(ordered)), column.column
        if column.column == "ratio":
            assert shown.nans == len(values) - len(ordered)
        if column.column in ("id", "ratio", "price") and ordered and all(abs(value) < 1e300 for value in ordered):
            assert shown.mean == pytest.approx(float(sum(ordered)) / len(ordered))
        if column.column in ("id", "part", "price"):
            assert (shown.min, shown.max) == (
                tuple(str(one) for one in (min(ordered), max(ordered))) if ordered else (None, None)
            ), column.column
