"""Position deletes, which PyIceberg reads and has no verb to write: what merge-on-read leaves in a table."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
    write_manifest_list,
)
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import AddSnapshotUpdate
from pyiceberg.typedef import Record

from drls_dagster.lakehouse import refs

_SCHEMA = pa.schema(
    [
        pa.field("file_path", pa.string(), False, {"PARQUET:field_id": "2147483546"}),
        pa.field("pos", pa.int64(), False, {"PARQUET:field_id": "2147483545"}),
    ]
)


class _DeleteManifest(ManifestWriterV2):
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def delete_rows(catalog: Catalog, table: Table, positions: Sequence[int]) -> None:
    """Hides the rows at `positions` of the table's only data file, in a new snapshot of main."""
    (task,) = table.scan().plan_files()
    parent = table.current_snapshot()
    assert parent is not None
    assert parent.summary is not None
    folder, number = f"{table.location()}/data", table.metadata.new_snapshot_id()
    path = f"{folder}/{uuid.uuid4()}-deletes.parquet"
    rows = pa.Table.from_pylist([{"file_path": task.file.file_path, "pos": one} for one in positions], _SCHEMA)
    with table.io.new_output(path).create() as out:
        pq.write_table(rows, out)
    file = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES, file_path=path, file_format=FileFormat.PARQUET, partition=Record(),
        record_count=len(positions), file_size_in_bytes=len(table.io.new_input(path)), column_sizes={}, value_counts={},
        null_value_counts={}, nan_value_counts={}, lower_bounds={}, upper_bounds={}, key_metadata=None,
        split_offsets=None, equality_ids=None, sort_order_id=None, spec_id=table.spec().spec_id,
    )  # fmt: skip
    sequence = table.metadata.last_sequence_number + 1
    metadata = f"{table.location()}/metadata"
    writer = _DeleteManifest(
        table.spec(), table.schema(), table.io.new_output(f"{metadata}/{uuid.uuid4()}-m0.avro"), number, "null"
    )
    with writer as manifest:
        manifest.add_entry(
            ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, snapshot_id=number, data_file=file)
        )
    made = writer.to_manifest_file()
    listed = f"{metadata}/snap-{number}.avro"
    with write_manifest_list(
        2, table.io.new_output(listed), number, parent.snapshot_id, sequence, avro_compression="null"
    ) as out:
        out.add_manifests([*parent.manifests(table.io), made])
    snapshot = Snapshot(
        snapshot_id=number, parent_snapshot_id=parent.snapshot_id, sequence_number=sequence,
        timestamp_ms=table.metadata.last_updated_ms + 1, manifest_list=listed,
        summary=Summary(operation=Operation.DELETE, **parent.summary.additional_properties),
        schema_id=table.metadata.current_schema_id,
    )  # fmt: skip
    catalog.commit_table(table, (), (AddSnapshotUpdate(snapshot=snapshot), refs.set_branch(table, "main", number)))
    table.refresh()
