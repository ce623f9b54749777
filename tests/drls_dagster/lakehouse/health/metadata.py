"""Tables whose metadata says what a test needs: files that nobody will read, deletes, manifests by the thousand."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

import pyarrow as pa
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import AddSnapshotUpdate, AssertRefSnapshotId, SetSnapshotRefUpdate
from pyiceberg.typedef import Record

from drls_dagster.lakehouse.catalog import load_catalog
from tests.iceberg_tables import make_table

MB = 1_000_000


def make_files(name: str, sizes: Iterable[int], *, per_manifest: int = 1_000_000, **options: object) -> Table:
    """A table with a data file of each size, in manifests of so many; a file holds one row a byte."""
    table = make_table(name, {"x": [1]}, **options)
    (real,) = (one.file for one in table.scan().plan_files())
    files = []
    for number, size in enumerate(sizes):
        one = deepcopy(real)
        one._data[1] = f"{table.location()}/data/{number:06}.parquet"
        one._data[4], one._data[5] = size, size
        files.append(one)
    with table.transaction() as change:
        change.delete("x = 1")
        for start in range(0, len(files), per_manifest):
            with change.update_snapshot().fast_append() as append:
                for one in files[start : start + per_manifest]:
                    append.append_data_file(one)
    return load_catalog().load_table(tuple(name.split(".")))


class _DeleteManifest(ManifestWriterV2):
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES


def add_deletes(table: Table, files: int, rows: int, *, by_equality: bool = False) -> None:
    """A snapshot with so many delete files, of so many rows each."""
    base = table.current_snapshot()
    assert base is not None
    snapshot_id, io = base.snapshot_id + 1, table.io
    path = f"{table.location()}/metadata/deletes-{snapshot_id}.avro"
    kind = DataFileContent.EQUALITY_DELETES if by_equality else DataFileContent.POSITION_DELETES
    with _DeleteManifest(table.spec(), table.schema(), io.new_output(path), snapshot_id, "deflate") as writer:
        for number in range(files):
            one = DataFile.from_args(
                content=kind, file_path=f"{table.location()}/data/delete-{snapshot_id}-{number}.parquet",
                file_format=FileFormat.PARQUET, partition=Record(), record_count=rows, file_size_in_bytes=100,
                column_sizes={}, value_counts={}, null_value_counts={}, nan_value_counts={}, lower_bounds={},
                upper_bounds={}, key_metadata=None, split_offsets=None, sort_order_id=None,
                equality_ids=[1] if by_equality else None,
            )  # fmt: skip
            writer.add_entry(
                ManifestEntry.from_args(
                    status=ManifestEntryStatus.ADDED, snapshot_id=snapshot_id, sequence_number=None,
                    file_sequence_number=None, data_file=one,
                )
            )  # fmt: skip
    _commit(table, base, snapshot_id, [*base.manifests(io), writer.to_manifest_file()])


def _commit(table: Table, base: Snapshot, snapshot_id: int, manifests: list[ManifestFile]) -> None:
    number = table.metadata.last_sequence_number + 1
    path = f"{table.location()}/metadata/snap-{snapshot_id}.avro"
    output = table.io.new_output(path)
    with write_manifest_list(2, output, snapshot_id, base.snapshot_id, number, "deflate") as writer:
        writer.add_manifests(manifests)
    snapshot = Snapshot(
        snapshot_id=snapshot_id, parent_snapshot_id=base.snapshot_id, sequence_number=number,
        timestamp_ms=base.timestamp_ms + 1, manifest_list=path, summary=Summary(Operation.OVERWRITE),
        schema_id=table.metadata.current_schema_id,
    )  # fmt: skip
    table.catalog.commit_table(
        table,
        (AssertRefSnapshotId(ref="main", snapshot_id=base.snapshot_id),),
        (
            AddSnapshotUpdate(snapshot=snapshot),
            SetSnapshotRefUpdate(ref_name="main", type="branch", snapshot_id=snapshot_id),
        ),
    )


def batches(values: Iterable[tuple[int, int]], kind: pa.DataType) -> list[pa.Table]:
    """One file each, with these two values in its column."""
    return [pa.table({"x": pa.array(list(one), pa.int64()).cast(kind)}) for one in values]
