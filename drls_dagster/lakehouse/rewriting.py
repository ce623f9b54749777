"""Snapshots that replace files and keep every row: what compaction and rewriting manifests commit.

PyIceberg has no `replace` operation: its producers refuse it, and write every new file into the current partition spec
under a new sequence number. So manifests and their list are written here, with its public writers. One thing is
private: its manifest writer knows data files only, so three members of it are replaced for manifests of delete files.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyiceberg.manifest import (
    DataFile,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    ManifestWriter,
    ManifestWriterV2,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.schema import Schema
from pyiceberg.typedef import TableVersion
from pyiceberg.types import IntegerType, ListType, NestedField, StructType

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot
    from pyiceberg.table.update import AddSnapshotUpdate

MANIFEST_BYTES = "commit.manifest.target-size-bytes"
_MANIFEST_BYTES = 8 << 20
_CODEC = "write.avro.compression-codec"


class StaleFiles(DrlsError):
    """A file that was to be replaced is no longer part of the snapshot."""


@dataclass(frozen=True)
class Change:
    """What a snapshot replaces.

    `remove` and `remove_deletes` are paths of data files and delete files. Files in `add` carry their `spec_id`, and
    get `sequence` as their data sequence number: that of the snapshot they were made from, so that deletes which were
    committed since still apply to them. Live entries of the manifests in `regroup` (paths) move, clustered by
    partition, into new manifests of about `manifest_bytes`; those of the other manifests stay where they are.
    """

    add: tuple[DataFile, ...] = ()
    remove: frozenset[str] = frozenset()
    remove_deletes: frozenset[str] = frozenset()
    sequence: int | None = None
    regroup: frozenset[str] = frozenset()
    manifest_bytes: int | None = None
    summary: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Replacement:
    """A snapshot that is written and not committed. `files`: its manifest list and the manifests that are new."""

    snapshot: Snapshot
    files: tuple[str, ...]
    rewritten_manifests: int
    new_manifests: int

    @property
    def update(self) -> AddSnapshotUpdate:
        from pyiceberg.table.update import AddSnapshotUpdate

        return AddSnapshotUpdate(snapshot=self.snapshot)


class Manifests:
    """Live entries of manifests, each read once: a manifest never changes."""

    def __init__(self, io: FileIO) -> None:
        self._io = io
        self._known: dict[str, tuple[ManifestEntry, ...]] = {}

    def entries(self, manifest: ManifestFile) -> tuple[ManifestEntry, ...]:
        known = self._known.get(manifest.manifest_path)
        if known is None:
            known = tuple(manifest.fetch_manifest_entry(self._io, discard_deleted=True))
            self._known[manifest.manifest_path] = known
        return known

    def live(self, snapshot: Snapshot) -> Iterator[tuple[ManifestFile, ManifestEntry]]:
        """Every data and delete file of a snapshot."""
        for manifest in snapshot.manifests(self._io):
            for entry in self.entries(manifest):
                yield manifest, entry


def replace(
    table: Table,
    base: int,
    change: Change,
    *,
    note: Callable[[str], None] = lambda _: None,
    manifests: Manifests | None = None,
    snapshot_id: int | None = None,
) -> Replacement:
    """Write a snapshot with parent `base` and operation `replace`. It is not committed.

    `note` is called with the path of each file before it is written. Raises StaleFiles where something to be removed is
    not in `base`. The snapshot has the sequence number that follows `table`'s: when any ref of the table has moved
    since, the commit is refused, and the snapshot is written again.
    """
    from pyiceberg.table.snapshots import Operation, Snapshot, Summary

    if table.format_version > 2:
        raise DrlsError(
            f"{'.'.join(table.name())} has format version {table.format_version}; only Spark can rewrite it"
        )
    parent = table.snapshot_by_id(base)
    if parent is None:
        raise DrlsError(f"{'.'.join(table.name())} no longer has snapshot {base}")
    manifests = manifests or Manifests(table.io)
    number = snapshot_id or table.metadata.new_snapshot_id()
    out = _Writers(table, number, change.manifest_bytes, note)
    counts = _Counts(table)
    kept: list[ManifestFile] = []
    missing = set(change.remove | change.remove_deletes)
    rewritten = 0
    moved: dict[tuple[int, ManifestContent], list[ManifestEntry]] = {}
    try:
        for manifest in parent.manifests(table.io):
            gone_paths = change.remove if manifest.content == ManifestContent.DATA else change.remove_deletes
            regroup = manifest.manifest_path in change.regroup
            entries = manifests.entries(manifest) if gone_paths or regroup else ()
            gone = [one for one in entries if one.data_file.file_path in gone_paths]
            if not gone and not regroup:
                kept.append(manifest)
                continue
            rewritten += 1
            key = (manifest.partition_spec_id, manifest.content)
            for entry in entries:
                if entry.data_file.file_path not in gone_paths:
                    moved.setdefault(key, []).append(entry)
            for entry in gone:
                missing.discard(entry.data_file.file_path)
                counts.removed(entry.data_file)
                out.deleted(key, entry)
        if missing:
            raise StaleFiles(
                f"{'.'.join(table.name())}: {len(missing)} of the files to replace are not in snapshot {base}, such as "
                f"{min(missing)}"
            )
        for file in change.add:
            counts.added(file)
            out.added(file, change.sequence)
        for key, entries in moved.items():
            for entry in sorted(entries, key=_by_partition):
                out.existing(key, entry)
        written = out.close()
    except BaseException:
        out.abandon()
        raise
    path = _metadata_path(table, f"snap-{number}-0-{out.uuid}.avro")
    sequence = table.metadata.next_sequence_number()
    note(path)
    with write_manifest_list(
        format_version=table.format_version,
        output_file=table.io.new_output(path),
        snapshot_id=number,
        parent_snapshot_id=base,
        sequence_number=sequence,
        avro_compression=_codec(table),
    ) as writer:
        writer.add_manifests([*written, *kept])
    snapshot = Snapshot.model_validate(
        {
            "snapshot-id": number,
            "parent-snapshot-id": base,
            "manifest-list": path,
            "sequence-number": sequence,
            "schema-id": table.metadata.current_schema_id,
            "timestamp-ms": _now(table),
            "summary": Summary(Operation.REPLACE, **counts.summary(refs.summary(parent)), **change.summary),
        }
    )
    return Replacement(snapshot, (path, *(one.manifest_path for one in written)), rewritten, len(written))


def discard(io: FileIO, replacement: Replacement) -> None:
    """Remove the files of a snapshot that was not committed."""
    for path in replacement.files:
        io.delete(path)


class _DeletesWriter(ManifestWriterV2):
    """A manifest of delete files; PyIceberg writes such ones nowhere."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}

    def _with_partition(self, format_version: TableVersion) -> Schema:
        # The specification has the ids of equality deletes as int. PyIceberg writes long, which Java cannot read.
        entry = super()._with_partition(format_version)
        return Schema(*(_with_int_ids(one) for one in entry.fields), schema_id=entry.schema_id)


def _with_int_ids(field: NestedField) -> NestedField:
    """The same field of a manifest's entry, with `equality_ids` of a data file as the specification has them."""
    if field.name == "data_file" and isinstance(field.field_type, StructType):
        inner = StructType(*(_with_int_ids(one) for one in field.field_type.fields))
        return field.model_copy(update={"field_type": inner})
    if field.name == "equality_ids" and isinstance(field.field_type, ListType):
        ids = ListType(field.field_type.element_id, IntegerType(), element_required=True)
        return field.model_copy(update={"field_type": ids})
    return field


class _Writers:
    """One manifest for each partition spec and content at a time; a full one is closed and the next begun."""

    def __init__(self, table: Table, snapshot_id: int, target: int | None, note: Callable[[str], None]) -> None:
        self.uuid = uuid.uuid4()
        self._table = table
        self._snapshot_id = snapshot_id
        self._target = target or int(table.properties.get(MANIFEST_BYTES, _MANIFEST_BYTES))
        self._note = note
        self._open: dict[Any, tuple[ExitStack, ManifestWriter]] = {}
        self._written: list[ManifestFile] = []
        self._begun: list[str] = []

    def added(self, file: DataFile, sequence: int | None) -> None:
        # Format version 1 has no sequence numbers.
        number = sequence if self._table.format_version > 1 else None
        entry = ManifestEntry.from_args(
            status=ManifestEntryStatus.ADDED,
            snapshot_id=self._snapshot_id,
            sequence_number=number,
            file_sequence_number=None,
            data_file=file,
        )
        self._writer("added", (file.spec_id, ManifestContent.DATA)).add_entry(entry)

    def existing(self, key: tuple[int, ManifestContent], entry: ManifestEntry) -> None:
        self._writer("kept", key).existing(entry)

    def deleted(self, key: tuple[int, ManifestContent], entry: ManifestEntry) -> None:
        self._writer("gone", key).delete(entry)

    def _writer(self, kind: str, key: tuple[int, ManifestContent]) -> ManifestWriter:
        found = self._open.get((kind, key))
        if found is not None and found[1].tell() >= self._target:
            self._finish((kind, key))
            found = None
        if found is None:
            stack = ExitStack()
            found = self._open[kind, key] = (stack, stack.enter_context(self._new(*key)))
        return found[1]

    def _new(self, spec_id: int, content: ManifestContent) -> ManifestWriter:
        table = self._table
        path = _metadata_path(table, f"{self.uuid}-m{len(self._begun)}.avro")
        self._begun.append(path)
        self._note(path)
        spec = table.specs()[spec_id]
        schema = schema_of(table, spec)
        output = table.io.new_output(path)
        if content == ManifestContent.DELETES:
            return _DeletesWriter(spec, schema, output, self._snapshot_id, _codec(table))
        return write_manifest(table.format_version, spec, schema, output, self._snapshot_id, _codec(table))

    def _finish(self, key: Any) -> None:
        stack, writer = self._open.pop(key)
        stack.close()
        self._written.append(writer.to_manifest_file())

    def close(self) -> list[ManifestFile]:
        for key in list(self._open):
            self._finish(key)
        return self._written

    def abandon(self) -> None:
        """Remove what was begun, after an error."""
        for stack, _ in self._open.values():
            # A manifest without an entry cannot be closed.
            with suppress(ValueError):
                stack.close()
        for path in self._begun:
            if self._table.io.new_input(path).exists():
                self._table.io.delete(path)


class _Counts:
    """What a snapshot's summary says of its files."""

    _TOTALS: Mapping[str, tuple[str, str]] = {
        "total-data-files": ("added-data-files", "deleted-data-files"),
        "total-delete-files": ("added-delete-files", "removed-delete-files"),
        "total-records": ("added-records", "deleted-records"),
        "total-files-size": ("added-files-size", "removed-files-size"),
        "total-position-deletes": ("added-position-deletes", "removed-position-deletes"),
        "total-equality-deletes": ("added-equality-deletes", "removed-equality-deletes"),
    }

    def __init__(self, table: Table) -> None:
        self._partitioned = any(not spec.is_unpartitioned() for spec in table.specs().values())
        self._partitions: set[tuple[int, tuple[str, ...]]] = set()
        self._numbers: dict[str, int] = {}

    def added(self, file: DataFile) -> None:
        self._add("added-data-files", 1)
        self._add("added-records", file.record_count)
        self._add("added-files-size", file.file_size_in_bytes)
        self._partitions.add(partition_of(file))

    def removed(self, file: DataFile) -> None:
        self._add("removed-files-size", file.file_size_in_bytes)
        self._partitions.add(partition_of(file))
        if file.content == 0:
            self._add("deleted-data-files", 1)
            self._add("deleted-records", file.record_count)
            return
        kind = "position" if file.content == 1 else "equality"
        self._add("removed-delete-files", 1)
        self._add(f"removed-{kind}-delete-files", 1)
        self._add(f"removed-{kind}-deletes", file.record_count)

    def _add(self, name: str, number: int) -> None:
        self._numbers[name] = self._numbers.get(name, 0) + number

    def summary(self, before: Mapping[str, str]) -> dict[str, str]:
        said = {name: str(number) for name, number in self._numbers.items() if number}
        if self._partitioned and self._partitions:
            said["changed-partition-count"] = str(len(self._partitions))
        for total, (more, less) in self._TOTALS.items():
            # A total that a writer left out before cannot be known without reading everything.
            if total in before:
                number = int(before[total]) + self._numbers.get(more, 0) - self._numbers.get(less, 0)
                said[total] = str(max(number, 0))
        return said


def partition_of(file: DataFile) -> tuple[int, tuple[str, ...]]:
    """The partition spec and the values of a file's partition; as text, since NaN equals nothing."""
    return file.spec_id, tuple(repr(file.partition[at]) for at in range(len(file.partition)))


def schema_of(table: Table, spec: PartitionSpec) -> Schema:
    """A schema that has the columns of a partition spec: the current one, or the newest where one was dropped since."""
    needed = {one.source_id for one in spec.fields}
    known = table.schemas()
    newest_first = [table.schema(), *(known[number] for number in sorted(known, reverse=True))]
    return next((one for one in newest_first if needed <= one.field_ids), table.schema())


def _by_partition(entry: ManifestEntry) -> list[tuple[bool, Any]]:
    partition = entry.data_file.partition
    return [(partition[at] is not None, partition[at]) for at in range(len(partition))]


def _metadata_path(table: Table, name: str) -> str:
    # The table's own location provider may be a class that a property names; it is not imported here.
    folder = table.properties.get("write.metadata.path") or f"{table.location().rstrip('/')}/metadata"
    return f"{folder.rstrip('/')}/{name}"


def _codec(table: Table) -> Any:
    return table.properties.get(_CODEC, "gzip")


def _now(table: Table) -> int:
    """The time of a new snapshot: never before the table's newest change, whatever the clock of its writer said."""
    import time

    return max(int(time.time() * 1000), table.metadata.last_updated_ms)
