"""Each column in numbers, on both sides, out of the staged rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drls_dagster.lakehouse.diff.columns import Column
from drls_dagster.lakehouse.diff.shown import as_text, chunks, shown
from lifecycle.domain.data_diff import Statistics

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXACT_VALUES = 20_000_000
"""Up to so many values (rows × columns) distinct ones are counted, above they are estimated (HyperLogLog)."""

_AT_ONCE = 25  # columns in one statement


def side_statistics(
    database: DuckDBPyConnection, side: str, columns: Sequence[Column], *, exact: bool, text: int
) -> Mapping[str, Statistics]:
    """By the column's name in the comparison, of the rows that only `side` has and those that both have."""
    found: dict[str, Statistics] = {}
    for some in chunks(columns, _AT_ONCE):
        names = ", ".join(column.sql for column in some)
        asked = ", ".join(part for column in some for part in _asked(column, exact, text))
        row = database.execute(
            f"SELECT {asked} FROM (SELECT {names} FROM {side} WHERE counted UNION ALL SELECT {names} FROM same)"
        ).fetchone()
        assert row is not None  # noqa: S101 (an aggregate answers one row)
        for column, values in zip(some, chunks(row, 6), strict=True):
            found[column.sql] = _statistics(column, values, text)
    return found


def _asked(column: Column, exact: bool, text: int) -> tuple[str, ...]:
    """Nulls, NaNs, smallest, largest, mean, distinct."""
    value = column.sql
    only = f" FILTER (NOT isnan({value}))" if column.is_float else ""
    # -0.0 is 0.0, and which of the two a side has first is no difference.
    ordered = f"({value} + 0)" if column.is_float else value
    mean = f"favg(CAST({value} AS DOUBLE))" if column.is_large_number else f"avg({value})"
    distinct = f"count(DISTINCT {value})" if exact else f"approx_count_distinct({value})"
    return (
        f"count(*) - count({value})",
        f"count(*) FILTER (isnan({value}))" if column.is_float else "NULL",
        as_text(f"min({ordered}){only}", text) if column.is_plain else "NULL",
        as_text(f"max({ordered}){only}", text) if column.is_plain else "NULL",
        f"{mean}{only}" if column.is_number else "NULL",
        f"{distinct}{only}" if column.is_plain else "NULL",
    )


def _statistics(column: Column, values: Sequence[Any], text: int) -> Statistics:
    nulls, nans, smallest, largest, mean, distinct = values
    return Statistics(
        nulls=nulls,
        nans=nans,
        min=shown(smallest, text),
        max=shown(largest, text),
        # Infinities have no mean, and JSON has no word for it.
        mean=float(mean) if mean is not None and math.isfinite(mean) else None,
        distinct=distinct,
    )
