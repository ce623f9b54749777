"""Which columns a data diff compares, by id, by name and across types."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.types import DecimalType, DoubleType, LongType, StringType

from lifecycle.domain.data_diff import DiffLimits, SchemaChange, Side
from lifecycle.domain.environment import Environment
from tests.data_plane.diffing import append, compare, head, make, name, promised
from tests.fakes.lake import LakePlane


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
