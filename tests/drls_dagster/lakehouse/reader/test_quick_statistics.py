"""Statistics from the metadata of files say what the rows say, or nothing; without counts, the rows are read."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from pyiceberg.types import LongType

from drls_dagster.lakehouse.reader import IcebergTables
from lifecycle.domain.tables import Point, ReadFrom, ReadLimits, StatisticsAsked, TableAt, TableStatistics
from tests.iceberg_tables import make_table

LAB = TableAt(name="lab.numbers")
VALUES = pa.table(
    {
        "whole": pa.array([3, None, -5], pa.int64()),
        "real": pa.array([math.nan, 2.5, -1.5], pa.float64()),
        "money": pa.array([Decimal("10.50"), None, Decimal("-0.25")], pa.decimal128(9, 2)),
        "day": pa.array([date(1950, 1, 2), date(2026, 5, 6), None]),
        "at": pa.array([datetime(2026, 5, 6, 7, 8, 9, 10), None, None], pa.timestamp("us")),
        "zoned": pa.array([datetime(2026, 5, 6, tzinfo=UTC), None, None], pa.timestamp("us", tz="UTC")),
        "yes": pa.array([True, None, True]),
        "nothing": pa.array([None, None, None], pa.int32()),
    }
)
MORE = pa.table({name: VALUES[name].slice(0, 1) for name in VALUES.column_names})


def statistics(tables: IcebergTables, limits: ReadLimits, *columns: str, quick: bool = True) -> TableStatistics:
    asked = StatisticsAsked(columns=columns, after=0, most=100, top=0, quick=quick)
    return tables.statistics(LAB, Point(), asked, limits)


def test_metadata_says_what_the_rows_say(tables: IcebergTables, limits: ReadLimits) -> None:
    make_table(LAB.name, VALUES, MORE)
    quick, scanned = (statistics(tables, limits, quick=one) for one in (True, False))
    assert (quick.read_from, scanned.read_from) == (ReadFrom.METADATA, ReadFrom.ROWS)
    assert (quick.rows, scanned.rows) == (4, 4)
    unknown = {"distinct": None}
    # PyIceberg counts no NaN, so that nobody knows whether bounds of a float are.
    of_floats = {**unknown, "nans": None, "min": None, "max": None}
    expected = [one.model_copy(update=of_floats if one.name == "real" else unknown) for one in scanned.columns]
    assert list(quick.columns) == expected
    assert [(one.nulls, one.min, one.max) for one in quick.columns if one.name in {"whole", "day", "nothing"}] == [
        (1, -5, 3), (1, "1950-01-02", "2026-05-06"), (4, None, None),
    ]  # fmt: skip


def test_cut_bounds_of_text_are_not_told(tables: IcebergTables, limits: ReadLimits) -> None:
    make_table(LAB.name, {"name": ["a text that is longer than sixteen characters", None]})
    found = statistics(tables, limits)
    assert found.read_from is ReadFrom.METADATA
    assert (found.columns[0].nulls, found.columns[0].min, found.columns[0].max) == (1, None, None)


@pytest.mark.parametrize("change", ["added", "widened"])
def test_of_columns_that_came_later_nothing_wrong_is_told(
    tables: IcebergTables, limits: ReadLimits, change: str
) -> None:
    table = make_table(LAB.name, pa.table({"x": pa.array([1, 7], pa.int32())}))
    with table.update_schema() as update:
        if change == "added":
            update.add_column("y", LongType())
        else:
            update.update_column("x", LongType())
    table.append(pa.table({name: pa.array([3], pa.int64() if name == "y" or change == "widened" else pa.int32())
                           for name in (["x", "y"] if change == "added" else ["x"])}))  # fmt: skip
    (found,) = statistics(tables, limits, "y" if change == "added" else "x").columns
    # The older file does not count the new column's nulls: its rows are read.
    assert (found.nulls, found.min, found.max) == ((2, 3, 3) if change == "added" else (0, 1, 7))


def test_a_table_without_rows_has_none_to_read(tables: IcebergTables, limits: ReadLimits) -> None:
    make_table(LAB.name, VALUES.slice(0, 0))
    assert statistics(tables, limits).rows == 0
