"""What is told of a table from its metadata, and its first rows."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import ListType, LongType, NestedField, StringType, StructType

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.names import join_name, split_name
from drls_dagster.lakehouse.reader import IcebergTables
from lifecycle.domain.environment import Environment
from lifecycle.domain.tables import Point, ReadLimits, TableAt
from lifecycle.errors import Invalid, NotFound
from tests.drls_dagster.lakehouse.reader.values import HARD, SHOWN, TYPES
from tests.iceberg_tables import make_many_snapshots, make_table

DAILY = TableAt(name="flights.daily")


@pytest.fixture
def daily() -> list[int]:
    """`flights.daily` with three snapshots, the branch `qa` at the second; their ids, oldest first."""
    table = make_table("flights.daily", {"x": [1, 2]}, {"x": [3]})
    second = table.metadata.current_snapshot_id
    assert second is not None
    table.manage_snapshots().create_branch(second, "qa").commit()
    table.append(pa.table({"x": [4]}))
    return [one.snapshot_id for one in load_catalog().load_table("flights.daily").metadata.snapshots]


def test_a_preview_shows_every_value_as_it_is(tables: IcebergTables, limits: ReadLimits) -> None:
    make_table("lab.hard", HARD)
    found = tables.preview(TableAt(name="lab.hard"), Point(), (), limits)
    assert [one.type for one in found.columns] == TYPES
    assert [list(row) for row in found.rows] == SHOWN
    assert math.copysign(1, found.rows[1][1]) == -1
    assert found.values_cut == 1
    assert json.loads(found.model_dump_json())["rows"][1][1] == 0.0
    assert "nan" in json.loads(found.model_dump_json())["rows"][0]


@pytest.mark.parametrize(
    ("at", "point", "expected"),
    [
        (DAILY, {}, [1, 2, 3, 4]),
        (DAILY, {"ref": "qa"}, [1, 2, 3]),
        (DAILY, {"ref": "main"}, [1, 2, 3, 4]),
        (TableAt(name="flights.daily", environment=Environment.QA), {}, [1, 2, 3]),
        (TableAt(name="flights.daily", environment=Environment.UAT), {}, [1, 2, 3, 4]),
        (TableAt(name="flights.daily", environment=Environment.PRODUCTION), {}, [1, 2, 3, 4]),
    ],
)
@pytest.mark.usefixtures("daily")
def test_a_preview_reads_the_state_that_is_named(
    at: TableAt, point: dict[str, str], expected: list[int], tables: IcebergTables, limits: ReadLimits
) -> None:
    found = tables.preview(at, Point.model_validate(point), (), limits)
    assert sorted(row[0] for row in found.rows) == expected


def test_a_snapshot_and_a_time_are_states(tables: IcebergTables, limits: ReadLimits, daily: list[int]) -> None:
    assert sorted(tables.preview(DAILY, Point(snapshot=daily[0]), (), limits).rows) == [(1,), (2,)]
    log = load_catalog().load_table("flights.daily").metadata.snapshot_log
    then = datetime.fromtimestamp(log[1].timestamp_ms / 1000, UTC)
    assert tables.preview(DAILY, Point(at=then), (), limits).snapshot == daily[1]
    assert tables.preview(DAILY, Point(at=then + timedelta(days=1)), (), limits).snapshot == daily[2]
    with pytest.raises(NotFound, match=r"had no snapshot at 2001-.*its first snapshot is of "):
        tables.preview(DAILY, Point(at=datetime(2001, 1, 1, tzinfo=UTC)), (), limits)


@pytest.mark.usefixtures("daily")
def test_an_unknown_state_or_column_is_a_line(tables: IcebergTables, limits: ReadLimits) -> None:
    with pytest.raises(NotFound, match=r"has no snapshot 5; drls table history flights\.daily"):
        tables.preview(DAILY, Point(snapshot=5), (), limits)
    with pytest.raises(NotFound, match=r"has no ref 'nope'; it has: main, qa"):
        tables.preview(DAILY, Point(ref="nope"), (), limits)
    with pytest.raises(NotFound, match="has no column 'y' there"):
        tables.preview(DAILY, Point(), ("x", "y"), limits)
    for name in ("daily", "", ".", "a..b", 'a."b', "flights.daily.", '"".x', "x" * 400):
        with pytest.raises(NotFound):
            tables.preview(TableAt(name=name), Point(), (), limits)
    with pytest.raises(Invalid, match="omit the environment"):
        tables.health(TableAt(name="flights__qa.daily", environment=Environment.QA))


@pytest.mark.usefixtures("daily")
def test_rows_and_bytes_are_limited_and_it_is_said(tables: IcebergTables, limits: ReadLimits) -> None:
    found = tables.preview(DAILY, Point(), (), limits.model_copy(update={"rows": 2}))
    assert (len(found.rows), found.cut) == (2, "the first 2 rows; there are more")
    assert tables.preview(DAILY, Point(), (), limits.model_copy(update={"rows": 4})).cut == ""
    make_table("lab.wide", {"text": ["x" * 300] * 50})
    found = tables.preview(TableAt(name="lab.wide"), Point(), (), limits.model_copy(update={"bytes": 1_000}))
    assert len(found.rows) < 5
    assert "1,000 bytes" in found.cut
    assert len(json.dumps(found.rows)) < 1_100


def test_history_is_newest_first_in_pages(tables: IcebergTables, daily: list[int]) -> None:
    first, more = tables.history(DAILY, None, None, 2)
    assert ([one.snapshot for one in first], more) == (daily[:0:-1], True)
    assert [one.refs for one in first] == [("main",), ("qa",)]
    assert (first[0].added_rows, first[0].rows, first[0].operation) == (1, 4, "append")
    rest, more = tables.history(DAILY, None, first[-1].snapshot, 2)
    assert ([one.snapshot for one in rest], more) == (daily[:1], False)
    assert [one.snapshot for one in tables.history(DAILY, "qa", None, 9)[0]] == daily[1::-1]
    with pytest.raises(NotFound, match="no snapshot 7"):
        tables.history(DAILY, None, 7, 2)
    with pytest.raises(NotFound, match="no ref 'x'"):
        tables.history(DAILY, "x", None, 2)


def test_nested_columns_have_paths_docs_and_nullability(tables: IcebergTables) -> None:
    city = NestedField(3, "city", StringType(), required=True, doc="Where it is")
    schema = Schema(
        NestedField(1, "id", LongType(), required=True, doc="The key"),
        NestedField(2, "address", StructType(city, NestedField(4, "tags", ListType(5, StringType())))),
    )
    make_table("lab.nested", pa.table({"id": pa.array([], pa.int64())}), schema=schema)
    found = tables.schema(TableAt(name="lab.nested"), search="", after=0, limit=10)
    assert [(one.name, one.type, one.nullable, one.doc) for one in found.columns] == [
        ("id", "long", False, "The key"),
        ("address", "struct<city: string, tags: list<string>>", True, None),
        ("address.city", "string", False, "Where it is"),
        ("address.tags", "list<string>", True, None),
        ("address.tags.element", "string", False, None),
    ]
    assert [
        one.name for one in tables.schema(TableAt(name="lab.nested"), search="CITY", after=0, limit=10).columns
    ] == ["address.city"]


@pytest.mark.slow
def test_five_thousand_columns_come_in_pages(tables: IcebergTables, limits: ReadLimits) -> None:
    wide = TableAt(name="lab.wide")
    make_table("lab.wide", {f"c{number}": [number] for number in range(5_000)})
    first = tables.schema(wide, search="", after=0, limit=1_000)
    assert (len(first.columns), first.total, first.next) == (1_000, 5_000, 1_000)
    last = tables.schema(wide, search="", after=4_500, limit=1_000)
    assert (len(last.columns), last.next) == (500, None)
    assert [one.name for one in tables.schema(wide, search="4999", after=0, limit=9).columns] == ["c4999"]
    assert tables.preview(wide, Point(), ("c4999", "c7"), limits).rows == ((4999, 7),)
    assert tables.describe(wide, None).columns == 5_000


def test_a_name_may_have_dots_and_spaces(tables: IcebergTables, limits: ReadLimits) -> None:
    make_table(("my lab", "the.daily table"), {"x": [7]})
    (name,) = tables.names()
    assert name == 'my lab."the.daily table"'
    assert tables.preview(TableAt(name=name), Point(), (), limits).rows == ((7,),)
    assert [one.name for one in tables.summaries([name, "my lab.gone"])] == [name]


@pytest.mark.parametrize("parts", [("a", "b"), ("a b", "c.d"), ("a", "b", 'c"d'), ("é", "日本.語")])
def test_a_name_is_read_as_it_is_written(parts: tuple[str, ...]) -> None:
    assert split_name(join_name(parts)) == parts


def test_a_description_says_what_each_environment_reads(tables: IcebergTables, daily: list[int]) -> None:
    make_table("flights__development.daily", {"x": [9]})
    found = tables.describe(DAILY, "flights.daily")
    assert [(one.environment.value, one.table, one.ref, one.rows) for one in found.heads] == [
        ("development", "flights__development.daily", "main", 1),
        ("qa", "flights.daily", "qa", 3),
        ("uat", "flights.daily", "main", 4),
        ("production", "flights.daily", "main", 4),
    ]
    assert (found.rows, found.snapshots, found.refs_total, found.data_files) == (4, 3, 2, 3)
    assert tables.describe(DAILY, None).heads == ()
    assert found.heads[1].snapshot == daily[1]


def test_health_counts_and_recommends_from_metadata(tables: IcebergTables) -> None:
    table = make_table("lab.small", *[{"x": [number]} for number in range(6)])
    small = TableAt(name="lab.small")
    found = tables.health(small)
    assert (found.data_file_count, found.small_file_count, found.snapshot_count) == (6, 6, 6)
    assert (found.manifest_count, found.delete_file_count) == (6, 0)
    assert found.recommendation == "Compact it: 6 data files could be 1"
    with table.transaction() as change:
        change.set_properties({"write.target-file-size-bytes": "100"})
    found = tables.health(small)
    assert (found.small_file_count, found.target_bytes, found.recommendation) == (0, 100, "Healthy: nothing to do")
    make_many_snapshots("lab.old", 101)
    assert tables.health(TableAt(name="lab.old")).recommendation == "Expire snapshots: it keeps 101"
    make_table("lab.empty", pa.table({"x": pa.array([], pa.int64())}))
    empty = tables.health(TableAt(name="lab.empty"))
    assert (empty.snapshot, empty.data_file_count, empty.recommendation) == (None, 0, "Healthy: nothing to do")


def test_an_empty_table_has_columns_and_no_rows(tables: IcebergTables, limits: ReadLimits) -> None:
    make_table("lab.empty", pa.table({"x": pa.array([], pa.int64())}))
    found = tables.preview(TableAt(name="lab.empty"), Point(), (), limits)
    assert ([one.name for one in found.columns], found.rows, found.snapshot) == (["x"], (), None)
