"""How data files are read for a comparison: the same rows as PyIceberg reads, in pieces of bounded size. No engine."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import LongType, NestedField, StringType

from drls_dagster.lakehouse.diff import reading
from lifecycle.domain.data_diff import DiffLimits, Progress, Side
from lifecycle.domain.environment import Environment
from tests.data_plane.position_deletes import delete_rows
from tests.fakes.lake import LakePlane


def read(table: Table, schema: Schema) -> list[pa.RecordBatch]:
    return [
        batch for task in table.refresh().scan().plan_files() for batch in reading.read_batches(table, task, schema)
    ]


def rows(batches: list[pa.RecordBatch]) -> list[str]:
    return sorted(str(row) for batch in batches for row in batch.to_pylist())


def test_it_reads_what_pyiceberg_reads_in_pieces(lake: LakePlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through deletes, a new, renamed, wider and dropped column, and a struct that has got a field."""
    monkeypatch.setattr(reading, "BATCH_BYTES", 4_000)
    first = pa.schema(
        [
            ("id", pa.int32()),
            ("old", pa.string()),
            ("gone", pa.string()),
            ("legs", pa.list_(pa.struct([("to", pa.string())]))),
            ("marks", pa.map_(pa.string(), pa.int32())),
            ("on", pa.date32()),
        ]
    )
    table = lake.catalog.create_table("lab.pieces", first)
    some = [
        {"id": n, "old": f"n{n}", "gone": "g", "legs": [{"to": "LGA"}] * (n % 3), "marks": [("a", n)],
         "on": date(2026, 1, 1)}
        for n in range(1_000)
    ]  # fmt: skip
    table.append(pa.Table.from_pylist(some, first))
    delete_rows(lake.catalog, table, [0, 499, 500, 999])
    table.refresh()
    with table.update_schema() as change:
        change.rename_column("old", "new")
        change.update_column("id", LongType())
        change.delete_column("gone")
        change.add_column("more", StringType())
        change.add_column(("legs", "element", "by"), StringType())
    table.append(pa.Table.from_pylist([{"id": 7, "new": "z", "more": "m"}], table.scan().to_arrow().schema))
    batches = read(table, table.schema())
    assert len(batches) > 5
    assert rows(batches) == rows(table.scan().to_arrow().to_batches())
    assert sum(batch.num_rows for batch in batches) == 997


def test_a_file_that_has_none_of_the_columns_has_its_rows_all_the_same(lake: LakePlane) -> None:
    table = lake.catalog.create_table("lab.none", pa.schema([("id", pa.int32())]))
    table.append(pa.table({"id": pa.array(range(300), pa.int32())}))
    with table.update_schema() as change:
        change.add_column("more", StringType())
    schema = Schema(table.refresh().schema().find_field("more"))
    assert rows(read(table, schema)) == ["{'more': None}"] * 300


def test_an_identity_partition_is_read_though_its_column_is_not_in_the_file(lake: LakePlane, tmp_path: Path) -> None:
    """As a file of Hive, added to the table as it is."""
    import pyarrow.parquet as pq

    schema = Schema(
        NestedField(1, "id", LongType(), required=False), NestedField(2, "part", StringType(), required=False)
    )
    by_part = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "part"))
    table = lake.catalog.create_table("lab.hive", schema, partition_spec=by_part)
    table.append(pa.table({"id": [1], "part": ["a"]}))
    (task,) = table.scan().plan_files()
    file = task.file.file_path.removeprefix("file://")
    pq.write_table(pq.read_table(file).drop_columns(["part"]), file)
    assert rows(read(table, table.schema())) == ["{'id': 1, 'part': 'a'}"]


@pytest.mark.parametrize("deleted", [False, True])
def test_null_is_no_empty_list_or_map_where_it_holds_structs(lake: LakePlane, tmp_path: Path, deleted: bool) -> None:
    """As Spark writes them; PyIceberg reads and writes empty ones."""
    import pyarrow.parquet as pq

    point = pa.struct([("x", pa.int32())])
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("legs", pa.list_(point)),
            ("many", pa.list_(pa.list_(point))),
            ("marks", pa.map_(pa.string(), point)),
            ("one", pa.struct([("legs", pa.list_(point))])),
        ]
    )
    written = [
        {"id": 1, "legs": None, "many": None, "marks": None, "one": {"legs": None}},
        {"id": 2, "legs": [], "many": [], "marks": [], "one": {"legs": []}},
        {"id": 3, "legs": [None], "many": [None, []], "marks": [("a", None)], "one": None},
        {"id": 4, "legs": [{"x": 1}], "many": [[{"x": 1}]], "marks": [("a", {"x": 1})], "one": {"legs": [{"x": 2}]}},
    ]
    table = lake.catalog.create_table("lab.nulls", schema)
    file = tmp_path / "written.parquet"
    pq.write_table(pa.Table.from_pylist(written, schema), file)
    table.add_files([str(file)])
    if deleted:
        delete_rows(lake.catalog, table, [2])
    assert rows(read(table, table.schema())) == [str(row) for row in written if not deleted or row["id"] != 3]


def test_wide_rows_take_bounded_memory(lake: LakePlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 rows of 20 kB, 40 MB of text that the file holds in 1 MB, in one row group."""
    monkeypatch.setattr(reading, "BATCH_BYTES", 2_000_000)
    schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
    table = lake.catalog.create_table("lab.wide", schema)
    texts = pa.array([f"{n % 50:<20000}" for n in range(2_000)])
    table.append(pa.table({"id": range(2_000), "text": texts}, schema))
    del texts
    base, most = pa.total_allocated_bytes(), [0]

    def watch(_: Progress) -> None:
        most.append(pa.total_allocated_bytes() - base)

    snapshot = table.current_snapshot()
    assert snapshot is not None
    sides = (Side(environment=Environment.PRODUCTION, snapshot=one) for one in (None, snapshot.snapshot_id))
    diff = lake.compare("lab.wide", *sides, (), DiffLimits(), watch)
    assert (diff.added, diff.columns[1].after and diff.columns[1].after.distinct) == (2_000, 50)
    (task,) = table.scan().plan_files()
    for batch in reading.read_batches(table, task, table.schema()):
        most.append(pa.total_allocated_bytes() - base)
        assert batch.nbytes < 1.5 * reading.BATCH_BYTES
    assert max(most) < 20_000_000, "less than the file holds"
