"""The comparison of two snapshots against one row at a time in Python, on real Iceberg tables. No engine."""

from __future__ import annotations

import fcntl
import os
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.table import Table
from pyiceberg.types import DecimalType, DoubleType, LongType, StringType

from drls_dagster.lakehouse.data_plane import CannotCompare
from drls_dagster.settings import load_settings
from lifecycle.domain.data_diff import DataDiff, DiffLimits, DiffStep, Progress, RowKey, SchemaChange, Side
from lifecycle.domain.environment import Environment
from lifecycle.errors import LifecycleError, Refused
from tests.data_plane.position_deletes import delete_rows
from tests.fakes.lake import LakePlane
from tests.fakes.rows import Difference, Row, canonical, difference, duplicates

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


@pytest.fixture
def lake(drls_home: Path) -> LakePlane:
    plane = LakePlane(load_settings(drls_home))
    plane.catalog.create_namespace_if_not_exists("lab")
    return plane


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


def test_columns_are_followed_by_id_through_a_new_name_a_wider_type_a_new_and_a_dropped_one(lake: LakePlane) -> None:
    first = pa.schema([("id", pa.int32()), ("old", pa.string()), ("ratio", pa.float32()), ("gone", pa.string())])
    table = make(lake, first)
    base = append(table, [{"id": n, "old": f"n{n}", "ratio": 0.5, "gone": "g"} for n in range(3)], first)
    with table.update_schema() as change:
        change.rename_column("old", "new")
        change.update_column("id", LongType())
        change.update_column("ratio", DoubleType())
        change.delete_column("gone")
        change.add_column("more", StringType())
    second = pa.schema([("id", pa.int64()), ("new", pa.string()), ("ratio", pa.float64()), ("more", pa.string())])
    after = append(table, [{"id": 9, "new": "n9", "ratio": 0.5, "more": "m"}], second)
    diff = compare(lake, name(table), base, after, ("id",))
    assert (diff.added, diff.removed, diff.changed) == (1, 0, 0)
    assert diff.schema_changes == (
        SchemaChange(kind="retyped", column="id", before="int", after="long"),
        SchemaChange(kind="renamed", column="new", before="old", after="new"),
        SchemaChange(kind="retyped", column="ratio", before="float", after="double"),
        SchemaChange(kind="added", column="more", after="string"),
        SchemaChange(kind="removed", column="gone", before="string"),
    )
    columns = {column.column: column for column in diff.columns}
    assert columns["gone"].after is None
    assert columns["gone"].before is not None
    assert (columns["gone"].before.nulls, columns["gone"].before.distinct) == (0, 1)
    assert columns["more"].before is None
    table.overwrite(pa.Table.from_pylist([{"id": n, "new": "z", "ratio": 0.5, "more": "m"} for n in range(3)], second))
    rewritten = compare(lake, name(table), base, head(table), ("id",))
    assert (rewritten.added, rewritten.removed, rewritten.changed) == (0, 0, 3)
    changed = {column.column: column.changed for column in rewritten.columns}
    assert (changed["new"], changed["ratio"], changed["more"]) == (3, 0, None)
    back = compare(lake, name(table), head(table), base, ("id",))
    assert back.changed == 3, "a rollback reads what is narrower as what is wider"
    assert "is gone" in " ".join(change.words for change in back.schema_changes)


def test_without_a_key_wider_types_new_and_dropped_columns_and_fields_change_no_row(lake: LakePlane) -> None:
    first = pa.schema(
        [
            ("id", pa.int32()),
            ("price", pa.decimal128(9, 2)),
            ("gone", pa.string()),
            ("point", pa.struct([("x", pa.int32()), ("z", pa.int32())])),
            ("legs", pa.list_(pa.struct([("to", pa.string())]))),
        ]
    )
    table = make(lake, first)
    rows = [
        {"id": n, "price": Decimal(f"{n}.50"), "gone": f"g{n}", "point": {"x": n, "z": 1}, "legs": [{"to": "LGA"}] * n}
        for n in (1, 1, 2)
    ]
    base = append(table, rows, first)
    with table.update_schema() as change:
        change.update_column("id", LongType())
        change.update_column("price", DecimalType(12, 2))
        change.update_column(("point", "x"), LongType())
        change.delete_column("gone")
        change.delete_column(("point", "z"))
        change.add_column(("point", "y"), LongType())
        change.add_column(("legs", "element", "by"), StringType())
        change.add_column("more", StringType())
    second = schema_to_pyarrow(table.refresh().schema(), include_field_ids=False)
    wider = [
        {
            "id": row["id"],
            "price": row["price"],
            "point": {"x": row["id"], "y": 7},
            "legs": [{"to": "LGA", "by": "AA"}] * row["id"],
            "more": "m",
        }
        for row in rows
    ]
    wider[2]["point"]["x"] = 9
    table.overwrite(pa.Table.from_pylist(wider, second))
    for diff in (compare(lake, name(table), base, head(table)), compare(lake, name(table), head(table), base)):
        assert (diff.added, diff.removed, diff.changed) == (1, 1, None), "one value of one row is another"
        assert diff.sample_columns == ("id", "price", "point", "legs")
        assert (diff.columns_not_shown, len(diff.columns)) == (2, 6)
    by_key = compare(lake, name(table), base, head(table), ("id",))
    assert by_key.changed == 1
    assert [column.column for column in by_key.columns if column.changed] == ["point"]
    assert by_key.changed_rows[0].cells[0].after == "{'x': 9}"


def test_a_key_is_found_as_spark_finds_a_column_by_its_name(lake: LakePlane) -> None:
    table = make(lake, pa.schema([("Id", pa.int64()), ("a", pa.int64()), ("A", pa.int64())]))
    base = append(table, [{"Id": 1, "a": 1, "A": 1}], pa.schema([("Id", pa.int64())]))
    assert compare(lake, name(table), base, base, ("id",)).keys == ("Id",)
    assert compare(lake, name(table), base, base, ("A",)).keys == ("A",)
    nested = make(lake)
    assert compare(lake, name(nested), base := append(nested, []), base, ("ID", "part")).keys == ("id", "part")


def test_d10_types_of_a_separate_table_that_do_not_fit_are_compared_as_numbers_or_as_text(lake: LakePlane) -> None:
    real = pa.schema([("id", pa.int64()), ("part", pa.int32()), ("at", pa.date32()), ("tags", pa.list_(pa.int32()))])
    own = pa.schema([("id", pa.float64()), ("part", pa.string()), ("at", pa.string()), ("tags", pa.string())])
    lake.catalog.create_namespace_if_not_exists("lab__uat")
    table, separate = lake.catalog.create_table("lab.odd", real), lake.catalog.create_table("lab__uat.odd", own)
    day = date(2026, 1, 1)
    base = append(table, [{"id": n, "part": n, "at": day, "tags": [n]} for n in (1, 2)], real)
    texts = [
        {"id": n, "part": part, "at": "2026-01-01", "tags": f"[{n:.0f}]"} for n, part in ((1.0, "1"), (2.5, "two"))
    ]
    after = append(separate, texts, own)
    sides = (
        Side(environment=environment, snapshot=snapshot)
        for environment, snapshot in ((Environment.PRODUCTION, base), (Environment.UAT, after))
    )
    diff = lake.compare("lab.odd", *sides, (), DiffLimits(), lambda _: None)
    assert (diff.added, diff.removed) == (1, 1)
    assert diff.added_rows[0].values == ("2.5", "two", "2026-01-01", "[2]")
    assert [change.kind for change in diff.schema_changes] == ["retyped"] * 4


def test_d10_two_tables_without_a_common_column_have_no_common_row(lake: LakePlane) -> None:
    lake.catalog.create_namespace_if_not_exists("lab__uat")
    real, own = pa.schema([("a", pa.int64())]), pa.schema([("b", pa.int64())])
    table, separate = lake.catalog.create_table("lab.none", real), lake.catalog.create_table("lab__uat.none", own)
    base, after = append(table, [{"a": 1}], real), append(separate, [{"b": 1}, {"b": 2}], own)
    sides = (
        Side(environment=environment, snapshot=snapshot)
        for environment, snapshot in ((Environment.PRODUCTION, base), (Environment.UAT, after))
    )
    diff = lake.compare("lab.none", *sides, promised("a"), DiffLimits(), lambda _: None)
    assert (diff.added, diff.removed, diff.changed, diff.keys) == (2, 1, None, ())
    assert "no column in common" in diff.matched_by


def test_d10_a_separate_table_is_compared_by_column_names(lake: LakePlane) -> None:
    real = pa.schema([("id", pa.int32()), ("note", pa.string()), ("point", pa.struct([("x", pa.int32())]))])
    own = pa.schema(
        [("note", pa.string()), ("point", pa.struct([("x", pa.int32())])), ("id", pa.int64()), ("n", pa.int8())]
    )
    lake.catalog.create_namespace_if_not_exists("lab__uat")
    table, separate = lake.catalog.create_table("lab.own", real), lake.catalog.create_table("lab__uat.own", own)
    base = append(table, [{"id": 1, "note": "a", "point": {"x": 1}}, {"id": 2, "note": "b", "point": None}], real)
    after = append(
        separate, [{"id": 1, "note": "a", "point": {"x": 1}, "n": None}, {"id": 2, "note": "c", "n": 1}], own
    )
    diff = lake.compare(
        "lab.own",
        Side(environment=Environment.PRODUCTION, snapshot=base),
        Side(environment=Environment.UAT, snapshot=after),
        promised("id"), DiffLimits(), lambda _: None,
    )  # fmt: skip
    assert (diff.added, diff.removed, diff.changed, diff.files_same) == (0, 0, 1, 0)
    assert [change.words for change in diff.schema_changes] == [
        "column id was int and is now long", "column n int is new",
    ]  # fmt: skip


def test_keys_that_are_no_plain_columns_of_both_sides_are_said_to_be_none(lake: LakePlane) -> None:
    table = make(lake)
    base = append(table, [])
    for keys in (("tags",), ("id", "nowhere")):
        diff = compare(lake, name(table), base, base, keys)
        assert (diff.keys, diff.changed) == ((), None)
        assert f"the key ({', '.join(keys)}) does not name plain columns" in diff.matched_by


def test_above_the_limit_the_same_keys_are_picked_on_both_sides_and_it_says_so(lake: LakePlane) -> None:
    schema = pa.schema([("id", pa.int64()), ("note", pa.string())])
    table = make(lake, schema)
    base = append(table, [{"id": n, "note": "x"} for n in range(20_000)], schema)
    rows = [{"id": n, "note": "y" if n % 10 == 0 else "x"} for n in range(1_000, 21_000)]
    table.overwrite(pa.Table.from_pylist(rows, schema))
    diff = compare(lake, name(table), base, head(table), ("id",), rows=4_000)
    assert diff.fraction == pytest.approx(0.2)
    assert (diff.before.rows, diff.after.rows) == (20_000, 20_000), "the totals are no estimates"
    assert diff.changed is not None
    for found, true in ((diff.added, 1_000), (diff.removed, 1_000), (diff.changed, 1_900)):
        assert diff.estimated(found) == pytest.approx(true, rel=0.25)
    assert diff.columns[1].changed == diff.changed, "rows of one key meet, or all of them would be added and removed"
    assert diff.reason.startswith("20 % of the rows, the same by key on both sides, because the files that differ hold")
    assert diff.statistics_note == "of a sample of about 20 % of the rows"
    whole = compare(lake, name(table), base, head(table), rows=4_000)
    assert "the same by row" in whole.reason
    assert whole.estimated(whole.added) == pytest.approx(2_900, rel=0.25)


def test_statistics_of_a_large_table_with_a_small_change_come_from_a_sample_but_its_rows_do_not(
    lake: LakePlane,
) -> None:
    schema = pa.schema([("id", pa.int64())])
    table = make(lake, schema)
    for part in range(3):
        base = append(table, [{"id": n} for n in range(part * 20_000, (part + 1) * 20_000)], schema)
    diff = compare(lake, name(table), base, append(table, [{"id": -1}], schema), ("id",), rows=30_000)
    assert (diff.fraction, diff.reason, diff.added, diff.removed) == (1, "", 1, 0)
    assert diff.statistics_fraction == pytest.approx(0.5, rel=0.01)
    assert diff.statistics_note == "of a sample of about 50 % of the rows"
    assert (diff.before.rows, diff.after.rows) == (60_000, 60_001)


def test_a_thousand_columns(lake: LakePlane) -> None:
    schema = pa.schema([("id", pa.int64()), *((f"c{n}", pa.int32()) for n in range(999))])
    table = make(lake, schema)
    rows = [{"id": n, **{f"c{c}": c for c in range(999)}} for n in range(50)]
    base = append(table, rows, schema)
    rows[7]["c500"], rows[8]["c998"] = -1, None
    table.overwrite(pa.Table.from_pylist(rows, schema))
    diff = compare(lake, name(table), base, head(table), ("id",))
    assert (diff.added, diff.removed, diff.changed) == (0, 0, 2)
    assert {column.column for column in diff.columns if column.changed} == {"c500", "c998"}
    cells = [(row.key, cell) for row in diff.changed_rows for cell in row.cells]
    assert sorted((key, cell.column, cell.before, cell.after) for key, cell in cells) == [
        (("7",), "c500", "500", "-1"), (("8",), "c998", "998", None),
    ]  # fmt: skip
    assert (len(diff.sample_columns), diff.columns_not_shown) == (30, 970)


def test_names_and_values_are_never_part_of_a_statement_and_are_shown_bounded(lake: LakePlane) -> None:
    evil = 'x"; DROP TABLE before; --'
    schema = pa.schema([("ID", pa.int64()), ("id", pa.int64()), (evil, pa.string())])
    table = make(lake, schema)
    base = append(table, [], schema)
    text = "\x1b[2J\n'; DROP TABLE after; --" + "y" * 10_000
    diff = compare(lake, name(table), base, append(table, [{"ID": 1, "id": 2, evil: text}], schema), ("id",))
    (row,) = diff.added_rows
    assert diff.sample_columns == ("id", "ID", evil)
    assert row.values[:2] == ("2", "1")
    shown = row.values[2]
    assert shown is not None
    assert shown.startswith("\\u001b[2J⏎'; DROP")
    assert shown.endswith("y…")
    assert len(shown) < 210


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


def test_progress_counts_files_and_rows_and_goes_forward(lake: LakePlane) -> None:
    schema = pa.schema([("id", pa.int64())])
    table = make(lake, schema)
    base = append(table, [{"id": 0}], schema)
    for number in range(4):
        append(table, [{"id": number}] * 10, schema)
    seen: list[Progress] = []

    def watch(now: Progress) -> None:
        seen.append(now)

    sides = (Side(environment=Environment.PRODUCTION, snapshot=one) for one in (base, head(table)))
    lake.compare(name(table), *sides, (), DiffLimits(), watch)
    steps = list(DiffStep)
    assert [steps.index(one.step) for one in seen] == sorted(steps.index(one.step) for one in seen)
    assert [one.rows for one in seen] == sorted(one.rows for one in seen)
    assert {one.of for one in seen} <= {0, 5}


def test_one_that_takes_too_long_ends_says_so_and_leaves_nothing_behind(
    lake: LakePlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    schema = pa.schema([("id", pa.int64())])
    table = make(lake, schema)
    base = append(table, [{"id": 0}], schema)
    after = append(table, [{"id": 1}], schema)
    with pytest.raises(LifecycleError, match="took longer than 1e-06 seconds; try again"):
        compare(lake, name(table), base, after, seconds=1e-6)
    assert list(tmp_path.glob("drls-data-diff-*")) == []


def test_what_a_killed_process_left_is_removed_by_the_next_and_what_is_in_use_is_not(
    lake: LakePlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left, used, other = (tmp_path / one for one in ("drls-data-diff-left", "drls-data-diff-used", "other"))
    for folder in (left, used, other):
        folder.mkdir()
        (folder / "rows.duckdb").write_text("rows of a table")
    lock = os.open(used, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    table = make(lake)
    base = append(table, [])
    compare(lake, name(table), base, base)
    assert sorted(tmp_path.glob("*drls-data-diff-*")) == [used]
    assert other.exists()
    os.close(lock)
    compare(lake, name(table), base, base)
    assert not used.exists()


def test_a_statement_that_runs_is_interrupted_by_who_watches(lake: LakePlane, monkeypatch: pytest.MonkeyPatch) -> None:
    from drls_dagster.lakehouse.diff import rows

    schema = pa.schema([("id", pa.int64())])
    table = make(lake, schema)
    base = append(table, [{"id": 0}], schema)
    began: list[float] = []

    def endless(self: Any) -> None:
        began.append(time.monotonic())
        self._database.execute("SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range = 7")

    monkeypatch.setattr(rows.RowComparison, "run", endless)

    def stop(now: Progress) -> None:
        if began:
            raise Refused("nobody looks any more")

    sides = (Side(environment=Environment.PRODUCTION, snapshot=base),) * 2
    with pytest.raises(Refused, match="nobody looks"):
        lake.compare(name(table), *sides, (), DiffLimits(seconds=60), stop)


def test_a_data_file_that_is_gone_is_one_line(lake: LakePlane) -> None:
    table = make(lake)
    base = append(table, [{"id": 1}])
    for task in table.scan().plan_files():
        Path(task.file.file_path.removeprefix("file://")).unlink()
    with pytest.raises(CannotCompare, match=rf"^the two snapshots of {name(table)} cannot be compared: [^\n]+$"):
        compare(lake, name(table), None, base)


@pytest.mark.slow
def test_a_million_rows_within_bounded_memory(lake: LakePlane, record_property: Any) -> None:
    """Every row rewritten, one in a hundred changed: 2 × 1,000,000 rows are compared, and none is held in Python."""
    size = 1_000_000
    ids = pa.array(range(size))
    texts = pa.array([f"note {n % 1000}" for n in range(size)])
    at = pa.array(
        [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in range(size)], pa.timestamp("us", "UTC")
    )
    values = pa.array([n / 7 for n in range(size)])
    changed = pa.array([n / 7 if n % 100 else -1.0 for n in range(size)])
    names = ["id", "note", "at", "value"]
    frame = pa.table([ids, texts, at, values], names)
    table = make(lake, frame.schema)
    table.append(frame)
    base = head(table)
    table.overwrite(pa.table([ids, texts, at, changed], names))
    before = Counter({"arrow": pa.total_allocated_bytes()})
    most: list[int] = []
    began = time.monotonic()

    def watch(_: Progress) -> None:
        most.append(pa.total_allocated_bytes() - before["arrow"])

    sides = (Side(environment=Environment.PRODUCTION, snapshot=one) for one in (base, head(table)))
    diff = lake.compare(name(table), *sides, promised("id"), DiffLimits(), watch)
    seconds = time.monotonic() - began
    record_property("seconds", seconds)
    print(f"2 × {size:,} rows compared in {seconds:.1f} s, at most {max(most) / 1e6:.0f} MB of Arrow")
    assert (diff.added, diff.removed, diff.changed, diff.fraction) == (0, 0, 10_000, 1)
    assert diff.columns[3].changed == 10_000
    assert max(most) < 300_000_000, "read batch by batch"
