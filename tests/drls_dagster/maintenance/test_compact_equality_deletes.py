"""Compaction applies equality deletes: which rows they name, where, and until when their files stay."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyiceberg.manifest import ManifestContent
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    FixedType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.lakehouse import refs
from drls_dagster.maintenance import compact, manifests
from drls_dagster.maintenance.work import Keep
from lifecycle.domain.operations import CompactOptions, ManifestOptions
from tests.drls_dagster.maintenance.compacting import (
    compacted,
    content,
    data_files,
    delete_equal,
    delete_positions,
    lake,
    live,
    needed,
    stored,
    work,
)

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

SCHEMA = pa.schema([("n", pa.int64()), ("s", pa.string())])


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return lake(tmp_path)


def rows(*found: tuple[int | None, str | None]) -> pa.Table:
    return pa.table({"n": [n for n, _ in found], "s": [s for _, s in found]}, schema=SCHEMA)


def numbers(*found: int | None) -> pa.Table:
    return pa.table({"n": pa.array(found, pa.int64())})


def table_of(catalog: Catalog, *parts: pa.Table) -> Table:
    table = catalog.create_table("ns.t", SCHEMA, properties={"format-version": "2"})
    for one in parts:
        table.append(one)
    return table


def seen(table: Table, ref: str = "main") -> list[Any]:
    found = table.scan(snapshot_id=refs.head(table, ref)).to_arrow().to_pylist()
    return sorted(((one["n"], one["s"]) for one in found), key=repr)


def test_rows_that_are_named_go_and_rows_written_later_stay(catalog: Catalog, tmp_path: Path) -> None:
    table_of(catalog, rows((1, "a"), (2, "a")), rows((3, "a"), (None, "a")))
    table = delete_equal(catalog, "ns.t", numbers(1, None, 9))
    table.append(rows((1, "again"), (None, "again")))
    before = content(catalog.load_table("ns.t"))

    result, after = compacted(catalog, "ns.t", tmp_path, min_files=2)

    assert content(after) == before
    assert seen(after) == [(1, "again"), (2, "a"), (3, "a"), (None, "again")]
    assert (result.rewritten_files, result.new_files, result.applied_deletes) == (3, 1, 2)
    told = refs.summary(after.snapshot_by_id(result.snapshot or 0))
    assert (told["total-delete-files"], told["total-equality-deletes"], told["total-records"]) == ("0", "0", "4")
    assert told["removed-equality-delete-files"] == "1"
    assert stored(after) == needed(after)


def test_several_columns_name_a_row_together(catalog: Catalog, tmp_path: Path) -> None:
    table_of(catalog, rows((1, "a"), (1, "b"), (2, "a"), (1, None), (None, None)), rows((2, "b"), (None, "a")))
    delete_equal(catalog, "ns.t", rows((1, "a"), (2, "b"), (1, None), (None, None), (7, "z")))
    before = content(catalog.load_table("ns.t"))

    _, after = compacted(catalog, "ns.t", tmp_path, min_files=2)

    assert content(after) == before
    assert seen(after) == [(1, "b"), (2, "a"), (None, "a")]


def test_deletes_by_different_columns_and_by_position_add_up(catalog: Catalog, tmp_path: Path) -> None:
    table = table_of(catalog, rows((1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")))
    delete_positions(catalog, "ns.t", {live(table)[0].file_path: [0]})
    delete_equal(catalog, "ns.t", numbers(2))
    delete_equal(catalog, "ns.t", pa.table({"s": ["c"]}))
    table = delete_equal(catalog, "ns.t", rows((4, "d"), (5, "other")))

    result, after = compacted(catalog, "ns.t", tmp_path)

    assert seen(after) == [(5, "e")]
    assert (result.rewritten_files, result.applied_deletes) == (1, 4)


def test_a_delete_applies_to_its_partition_and_one_without_partitions_to_all(catalog: Catalog, tmp_path: Path) -> None:
    table = table_of(catalog)
    with table.update_spec() as spec:
        spec.add_identity("s")
    for _ in range(2):
        table.append(rows((1, "a"), (2, "a"), (1, "b"), (2, "b"), (3, "b")))
    [like] = [one for one in live(catalog.load_table("ns.t")) if "s=a" in one.file_path][:1]
    delete_equal(catalog, "ns.t", numbers(1), like)
    delete_equal(catalog, "ns.t", numbers(2))
    before = content(catalog.load_table("ns.t"))

    result, after = compacted(catalog, "ns.t", tmp_path, min_files=2)

    assert content(after) == before
    assert seen(after) == [(1, "b"), (1, "b"), (3, "b"), (3, "b")]
    assert (result.new_files, result.applied_deletes) == (1, 6)
    assert refs.summary(after.snapshot_by_id(result.snapshot or 0))["total-delete-files"] == "0"


def test_a_delete_file_stays_while_an_older_file_of_its_scope_does(catalog: Catalog, tmp_path: Path) -> None:
    table_of(catalog, *(rows((at, "a"), (at + 1, "a")) for at in (0, 10, 20, 30)))
    delete_equal(catalog, "ns.t", numbers(1, 31))
    before = content(catalog.load_table("ns.t"))

    result, after = compacted(catalog, "ns.t", tmp_path, where="n < 15", min_files=2)

    assert result.rewritten_files == 2
    assert content(after) == before
    assert refs.summary(after.snapshot_by_id(result.snapshot or 0))["total-delete-files"] == "1"
    again, after = compacted(catalog, "ns.t", tmp_path, min_files=2)
    assert content(after) == before
    assert again.applied_deletes == 1
    assert refs.summary(after.snapshot_by_id(again.snapshot or 0))["total-delete-files"] == "0"


def test_d14_a_delete_that_is_committed_meanwhile_applies_to_the_new_files(catalog: Catalog, tmp_path: Path) -> None:
    table_of(catalog, rows((1, "a"), (2, "a")), rows((3, "a")))
    delete_equal(catalog, "ns.t", numbers(1))
    made = work(catalog, catalog.load_table("ns.t"), tmp_path)
    publish, todo = made.publish, [3, 2]

    def overtaken(*given: Any) -> Table:
        if todo:
            delete_equal(catalog, "ns.t", numbers(todo.pop()))
        return publish(*given)

    made.publish = overtaken
    compact.execute(made, CompactOptions(min_files=2))

    after = catalog.load_table("ns.t")
    assert sum(content(after).values()) == 0
    assert len(data_files(after)) == 1
    assert refs.summary(after.snapshot_by_id(refs.head(after, "main") or 0))["total-delete-files"] == "2"
    result, after = compacted(catalog, "ns.t", tmp_path, min_files=1)
    assert (result.new_files, result.applied_deletes) == (0, 2)
    assert data_files(after) == []


@pytest.mark.parametrize("strategy", ["sort", "zorder"])
def test_sorted_rows_are_those_that_are_left(catalog: Catalog, tmp_path: Path, strategy: str) -> None:
    table_of(catalog, *(rows((at % 7, f"s{at}"), (None, f"t{at}")) for at in range(40)))
    delete_equal(catalog, "ns.t", numbers(3, None))
    before = content(catalog.load_table("ns.t"))

    columns = ("n",) if strategy == "sort" else ("n", "s")
    result, after = compacted(catalog, "ns.t", tmp_path, strategy=strategy, columns=columns)

    assert content(after) == before
    assert {one for one, _ in seen(after)} == {0, 1, 2, 4, 5, 6}
    assert (result.rewritten_files, result.new_files) == (40, 1)


def test_columns_that_were_renamed_widened_added_or_dropped_still_name_rows(catalog: Catalog, tmp_path: Path) -> None:
    schema = pa.schema([("n", pa.int32()), ("s", pa.string())])
    table = catalog.create_table("ns.t", schema, properties={"format-version": "2"})
    table.append(pa.table({"n": [1, 2, 3], "s": ["a", "b", "c"]}, schema=schema))
    delete_equal(catalog, "ns.t", pa.table({"n": pa.array([1], pa.int32())}))
    delete_equal(catalog, "ns.t", pa.table({"s": ["b"]}))
    table = catalog.load_table("ns.t")
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.update_column("n", LongType()).delete_column("s")
    with table.update_schema() as update:
        update.rename_column("n", "number")
    with table.update_schema() as update:
        update.add_column("s", IntegerType())
    table.append(pa.table({"number": [1, 4, 5], "s": pa.array([None, 4, 5], pa.int32())}))
    table = delete_equal(catalog, "ns.t", pa.table({"s": pa.array([5], pa.int32())}))

    _, after = compacted(catalog, "ns.t", tmp_path, min_files=2)

    found = after.scan().to_arrow().sort_by("number").to_pylist()
    assert found == [{"number": 1, "s": None}, {"number": 3, "s": None}, {"number": 4, "s": 4}]
    assert stored(after) == needed(after)


def test_a_column_that_a_file_lacks_is_null_there(catalog: Catalog, tmp_path: Path) -> None:
    table = table_of(catalog, rows((1, "a")))
    with table.update_schema() as update:
        update.add_column("later", StringType())
    table.append(pa.table({"n": [2, 3], "s": ["b", "c"], "later": ["x", None]}, schema=table.schema().as_arrow()))
    table = delete_equal(catalog, "ns.t", pa.table({"later": pa.array([None], pa.string())}))

    _, after = compacted(catalog, "ns.t", tmp_path, min_files=2)

    assert after.scan().to_arrow()["n"].to_pylist() == [2]


VALUES = {
    "flag": (BooleanType(), pa.bool_(), [True, False]),
    "day": (DateType(), pa.date32(), [dt.date(2026, 1, 1), dt.date(1969, 1, 1)]),
    "at": (TimestampType(), pa.timestamp("us"), [dt.datetime(2026, 1, 1, 2), dt.datetime(1, 1, 1)]),
    "zoned": (
        TimestamptzType(),
        pa.timestamp("us", "UTC"),
        [dt.datetime(2026, 1, 1, 2, tzinfo=dt.UTC), dt.datetime(1960, 1, 1, tzinfo=dt.UTC)],
    ),
    "time": (TimeType(), pa.time64("us"), [dt.time(1, 2, 3), dt.time(0)]),
    "money": (DecimalType(20, 2), pa.decimal128(20, 2), [decimal.Decimal("-1.10"), decimal.Decimal("1.10")]),
    "bytes": (BinaryType(), pa.large_binary(), [b"\x00", b""]),
    "fixed": (FixedType(3), pa.binary(3), [b"abc", b"\x00\x00\x00"]),
    "id": (UUIDType(), pa.binary(16), [uuid.UUID(int=1).bytes, uuid.UUID(int=2**127).bytes]),
    "name with. dots": (StringType(), pa.string(), ["x", ""]),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_of_every_type_name_rows(catalog: Catalog, tmp_path: Path, name: str) -> None:
    kind, arrow, [first, second] = VALUES[name]
    schema = Schema(NestedField(1, name, kind), NestedField(2, "row", IntegerType()))
    table = catalog.create_table("ns.t", schema, properties={"format-version": "2"})
    values = pa.array([first, second, None], arrow)
    for start in (0, 3):
        numbered = pa.array(range(start, start + 3), pa.int32())
        wanted = table.schema().as_arrow()
        column = pa.ExtensionArray.from_storage(wanted.field(0).type, values) if name == "id" else values
        table.append(pa.table([column, numbered], schema=wanted))
    delete_equal(catalog, "ns.t", pa.table({name: pa.array([first, None], arrow)}))
    before = content(catalog.load_table("ns.t"))

    _, after = compacted(catalog, "ns.t", tmp_path, min_files=2)

    assert content(after) == before
    assert sorted(after.scan().to_arrow()["row"].to_pylist()) == [1, 4]


def test_deletes_by_part_of_a_column_are_left_to_spark(catalog: Catalog) -> None:
    inner = StructType(NestedField(3, "x", LongType()))
    schema = Schema(NestedField(1, "n", LongType()), NestedField(2, "s", inner))
    table = catalog.create_table("ns.t", schema, properties={"format-version": "2"})
    table.append(pa.table({"n": [1], "s": [{"x": 1}]}, schema=table.schema().as_arrow()))
    table = delete_equal(catalog, "ns.t", pa.table({"s": pa.array([{"x": 1}], pa.struct([("x", pa.int64())]))}))

    planned = compact.plan(table, "main", CompactOptions(all=True), Keep())

    assert planned.needed
    assert "which is started if it does not run: it has equality deletes by a column of" in planned.reasons[-1]
    with pytest.raises(UsageError, match="cannot be compacted by a filter"):
        compact.plan(table, "main", CompactOptions(where="n = 1"), Keep())


def test_a_delete_file_without_its_columns_stops_the_compaction(catalog: Catalog, tmp_path: Path) -> None:
    table_of(catalog, rows((1, "a")), rows((None, "b")))
    table = delete_equal(catalog, "ns.t", numbers(1))
    [delete] = [path for path in stored(table) if path.name.startswith("deletes-")]
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"other": [1]}), delete)

    with pytest.raises(DrlsError, match="lacks the columns by which it deletes rows"):
        compacted(catalog, "ns.t", tmp_path, min_files=2)
    assert stored(table) == needed(table)


def test_a_manifest_that_is_rewritten_has_the_ids_of_columns_as_java_reads_them(
    catalog: Catalog, tmp_path: Path
) -> None:
    table_of(catalog, rows((1, "a"), (2, "a")))
    delete_equal(catalog, "ns.t", numbers(1))
    table = delete_equal(catalog, "ns.t", pa.table({"s": ["b"]}))
    before = content(table)

    manifests.execute(work(catalog, table, tmp_path), ManifestOptions())

    after = catalog.load_table("ns.t")
    assert content(after) == before
    snapshot = after.snapshot_by_id(refs.head(after, "main") or 0)
    assert snapshot is not None
    [deletes] = [one for one in snapshot.manifests(after.io) if one.content == ManifestContent.DELETES]
    assert sorted(one.data_file.equality_ids for one in deletes.fetch_manifest_entry(after.io)) == [[1], [2]]
    header = Path(deletes.manifest_path.removeprefix("file://")).read_bytes()
    assert b'"element-id": 136, "items": "int"' in header
