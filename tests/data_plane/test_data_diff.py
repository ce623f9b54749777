"""The comparison of two snapshots against one row at a time in Python, on real Iceberg tables. No engine."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.data_plane.diffing import ROWS, SCHEMA, append, check, check_statistics, compare, head, make, name, plain
from tests.data_plane.position_deletes import delete_rows
from tests.fakes.lake import LakePlane
from tests.fakes.rows import Row, difference, duplicates


@pytest.mark.slow
@pytest.mark.parametrize("keys", [(), ("id",), ("id", "part"), ("ratio",)], ids=str)
@settings(
    # Each example writes real tables: one that fails is shown as it is, not made smaller for minutes.
    phases=[Phase.generate], max_examples=25, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(
    files=st.lists(ROWS, min_size=1, max_size=2), more=ROWS, kept=st.booleans(), deleted=st.booleans(), data=st.data()
)
def test_it_finds_what_one_row_at_a_time_finds(
    lake: LakePlane, keys: Sequence[str], files: list[list[Row]], more: list[Row], kept: bool, deleted: bool, data: Any
) -> None:
    """Whatever the files are: appended, written over, rewritten by a delete."""
    table = make(lake)
    for rows in files:
        base = append(table, rows)
    before = [row for rows in files for row in rows]
    after = list(before)
    if deleted:
        gone = data.draw(st.integers(0, 6))
        # PyIceberg warns of a delete that finds nothing.
        if any(row["id"] == gone for row in after):
            table.delete(f"id = {gone}")
        after = [row for row in after if row["id"] != gone]
    if kept or not after:
        append(table, more)
        after = after + more
    else:
        again = data.draw(st.lists(st.sampled_from(before), max_size=4) if before else st.just([]))
        table.overwrite(pa.Table.from_pylist([*again, *more], SCHEMA))
        after = [*again, *more]
    diff = compare(lake, name(table), base, head(table), keys, samples=50)
    check(diff, difference(SCHEMA.names, plain(before), plain(after), keys), keys)
    assert (diff.before.rows, diff.after.rows) == (len(before), len(after))
    check_statistics(diff, "before", before)
    check_statistics(diff, "after", after)
    if keys:
        assert diff.duplicates_before == duplicates(before, keys)
        assert diff.duplicates_after == duplicates(after, keys)
    assert (diff.fraction, diff.statistics_fraction, diff.distinct_exact) == (1, 1, True)


def test_what_cannot_differ_is_not_read_for_rows(lake: LakePlane) -> None:
    schema = pa.schema([("id", pa.int64())])
    table = make(lake, schema)
    for number in range(5):
        base = append(table, [{"id": number}], schema)
    diff = compare(lake, name(table), base, append(table, [{"id": 9}], schema), rows=1_000)
    assert (diff.files_same, diff.files_read, diff.added, diff.removed) == (5, 6, 1, 0)


def test_rows_that_delete_files_hide_are_gone_on_that_side(lake: LakePlane) -> None:
    schema = pa.schema([("id", pa.int64()), ("note", pa.string())])
    table = make(lake, schema)
    rows = [{"id": number, "note": "x"} for number in range(10)]
    base = append(table, rows, schema)
    delete_rows(lake.catalog, table, [2, 5, 7])
    hidden = head(table)
    assert table.scan(snapshot_id=hidden).to_arrow().num_rows == 7
    diff = compare(lake, name(table), base, hidden, ("id",))
    assert (diff.added, diff.removed, diff.changed, diff.before.rows, diff.after.rows) == (0, 3, 0, 10, 7)
    assert sorted(row.values[0] for row in diff.removed_rows) == ["2", "5", "7"]
    back = compare(lake, name(table), hidden, base, ("id",))
    assert (back.added, back.removed) == (3, 0)
    further = append(table, [{"id": 5, "note": "again"}], schema)
    again = compare(lake, name(table), base, further, ("id",))
    assert (again.added, again.removed, again.changed) == (0, 2, 1)
    on_both = compare(lake, name(table), hidden, further, ("id",))
    assert (on_both.added, on_both.removed, on_both.before.rows) == (1, 0, 7)


def test_the_entries_of_a_map_have_no_order_however_deep_it_is(lake: LakePlane) -> None:
    inner = pa.map_(pa.string(), pa.int32())
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("a point", pa.struct([('its "marks"', inner), ("x", pa.int32())])),
            ("many", pa.list_(pa.struct([("marks", inner)]))),
            ("deep", pa.map_(pa.string(), pa.map_(pa.string(), inner))),
        ]
    )

    def row(number: int, marks: list[tuple[str, int]], **other: Any) -> Row:
        point = {'its "marks"': marks, "x": 1}
        deep = [("m", [("n", marks), ("l", None)])]
        return {"id": number, "a point": point, "many": [{"marks": marks}, None], "deep": deep, **other}

    there, back = [("a", 1), ("b", 2)], [("b", 2), ("a", 1)]
    nothing: dict[str, None] = {"a point": None, "many": None, "deep": None}
    table = make(lake, schema)
    base = append(table, [row(1, there), row(2, there), row(3, [], **nothing)], schema)
    table.overwrite(pa.Table.from_pylist([row(1, back), row(2, [("a", 1), ("b", 3)]), row(3, [], **nothing)], schema))
    diff = compare(lake, name(table), base, head(table), ["id"])
    assert (diff.added, diff.removed, diff.changed) == (0, 0, 1)
    assert {one.column: one.changed for one in diff.columns[1:]} == {"a point": 1, "many": 1, "deep": 1}
    # PyIceberg writes an empty list for one that is NULL and holds structs.
    assert [one.before.nulls for one in diff.columns[1:] if one.before is not None] == [1, 0, 1]
    whole = compare(lake, name(table), base, head(table))
    assert (whole.added, whole.removed) == (1, 1)


def test_numbers_at_their_limits_have_statistics(lake: LakePlane) -> None:
    """The sum of two such decimals is more than any integer type holds; -0.0 is 0.0, whichever comes first."""
    schema = pa.schema([("id", pa.int64()), ("large", pa.decimal128(38, 2)), ("zero", pa.float64())])
    large = Decimal("999999999999999999999999999999999999.99")
    table = make(lake, schema)
    base = append(table, [{"id": one, "large": large, "zero": 0.0} for one in (2**63 - 1, -(2**63), 0)], schema)
    table.overwrite(pa.Table.from_pylist([{"id": 0, "large": large.copy_negate(), "zero": -0.0}], schema))
    diff = compare(lake, name(table), base, head(table), ["id"])
    assert (diff.removed, diff.changed) == (2, 1)
    _, of_large, of_zero = diff.columns
    assert of_large.before is not None
    assert of_large.after is not None
    assert (of_large.before.min, of_large.before.mean) == (str(large), pytest.approx(1e36))
    assert of_large.after.mean == pytest.approx(-1e36)
    assert (of_zero.moved, of_zero.changed) == ((), 0)


def test_empty_tables_and_tables_without_a_row(lake: LakePlane) -> None:
    table = make(lake)
    empty = append(table, [])
    for before, after in ((empty, empty), (None, empty), (empty, None)):
        diff = compare(lake, name(table), before, after, ("id",))
        assert (diff.added, diff.removed, diff.changed, diff.is_same) == (0, 0, 0, True)
