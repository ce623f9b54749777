"""Which files, and which rows of them, one step removes and adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pyiceberg.table.delete_file_index import PATH_FIELD_ID

from drls_dagster.lakehouse.changes.steps import ChangesUnreadable, Step
from drls_dagster.lakehouse.diff.reading import read_batches

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.manifest import DataFile, ManifestEntry, ManifestFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot


@dataclass(frozen=True)
class Part:
    """Rows of one data file: all but those at the places `without`."""

    file: DataFile
    without: np.ndarray

    def batches(self, table: Table, schema: Schema) -> Iterator[pa.RecordBatch]:
        """The rows in pieces of bounded size. Raises ChangesUnreadable where the file is gone."""
        import pyarrow as pa
        from pyiceberg.table import FileScanTask

        places = {self.file.file_path: [pa.chunked_array([self.without])]} if len(self.without) else {}
        try:
            yield from read_batches(table, FileScanTask(self.file), schema, places)
        except FileNotFoundError:
            raise ChangesUnreadable(
                f"a file of {'.'.join(table.name())} was deleted while its changes were read: its snapshot has "
                "expired meanwhile; read the table in full and continue from the snapshot that you read"
            ) from None


@dataclass(frozen=True)
class FileChanges:
    """What a step removes and what it adds. Rows that were only rewritten are in both."""

    removed: tuple[Part, ...] = ()
    added: tuple[Part, ...] = ()


def file_changes(table: Table, step: Step) -> FileChanges:
    """Compares the manifests of both sides; those that both have are not opened unless delete files differ."""
    before, after = _State(table, step.before), _State(table, step.after)
    own_before, own_after = before.manifests.keys() - after.manifests, after.manifests.keys() - before.manifests
    if before.deletes.keys() ^ after.deletes.keys():
        # A new delete file may say something of any data file.
        own_before, own_after = set(before.manifests), set(after.manifests)
    old, new = before.data(own_before), after.data(own_after)
    gone, come = old.keys() - new, new.keys() - old
    _refuse_equality_deletes(table, step, before, after, removes=bool(gone))
    removed = [Part(old[path].data_file, before.places(old[path])) for path in sorted(gone)]
    added = [Part(new[path].data_file, after.places(new[path])) for path in sorted(come)]
    for path in sorted(old.keys() & new):
        was, now = before.deletes_of(old[path]), after.deletes_of(new[path])
        if {one.file_path for one in was} == {one.file_path for one in now}:
            continue
        hidden, hides = before.places(old[path]), after.places(new[path])
        everything = np.arange(new[path].data_file.record_count, dtype=np.int64)
        for parts, places in ((removed, np.setdiff1d(hides, hidden)), (added, np.setdiff1d(hidden, hides))):
            if len(places):
                parts.append(Part(new[path].data_file, np.setdiff1d(everything, places)))
    return FileChanges(tuple(removed), tuple(added))


@dataclass
class _State:
    """A snapshot's files, as far as they are asked for."""

    table: Table
    snapshot: Snapshot | None
    _read: dict[str, Mapping[str, np.ndarray]] = field(default_factory=dict)

    @cached_property
    def _all(self) -> list[ManifestFile]:
        return [] if self.snapshot is None else list(self.snapshot.manifests(self.table.io))

    @cached_property
    def manifests(self) -> dict[str, ManifestFile]:
        """Those of data files, by path."""
        from pyiceberg.manifest import ManifestContent

        return {one.manifest_path: one for one in self._all if one.content == ManifestContent.DATA}

    def data(self, paths: set[str]) -> dict[str, ManifestEntry]:
        """The live data files of some manifests, by path."""
        return {entry.data_file.file_path: entry for path in paths for entry in self._live(self.manifests[path])}

    @cached_property
    def deletes(self) -> dict[tuple[object, ...], ManifestEntry]:
        """The live delete files. In format 3 several share a file, each for one data file."""
        from pyiceberg.manifest import ManifestContent

        return {
            (one.file_path, (one.lower_bounds or {}).get(PATH_FIELD_ID), one.record_count): entry
            for manifest in self._all
            if manifest.content == ManifestContent.DELETES
            for entry in self._live(manifest)
            for one in (entry.data_file,)
        }

    @cached_property
    def equality(self) -> set[str]:
        """The files of equality deletes."""
        from pyiceberg.manifest import DataFileContent

        files = (entry.data_file for entry in self.deletes.values())
        return {one.file_path for one in files if one.content == DataFileContent.EQUALITY_DELETES}

    def deletes_of(self, entry: ManifestEntry) -> set[DataFile]:
        """The files of position deletes that say something of a data file."""
        from pyiceberg.manifest import INITIAL_SEQUENCE_NUMBER

        sequence = entry.sequence_number or INITIAL_SEQUENCE_NUMBER
        return self._index.for_data_file(sequence, entry.data_file, entry.data_file.partition)

    def places(self, entry: ManifestEntry) -> np.ndarray:
        """The places of the rows that are deleted in a data file."""
        found = [self._deletes_in(one).get(entry.data_file.file_path) for one in self.deletes_of(entry)]
        there = [one for one in found if one is not None]
        return np.unique(np.concatenate(there)) if there else np.empty(0, dtype=np.int64)

    def _live(self, manifest: ManifestFile) -> list[ManifestEntry]:
        return manifest.fetch_manifest_entry(self.table.io, discard_deleted=True)

    @cached_property
    def _index(self):
        from pyiceberg.table.delete_file_index import DeleteFileIndex

        index = DeleteFileIndex()
        for entry in self.deletes.values():
            if entry.data_file.file_path not in self.equality:
                index.add_delete_file(entry, partition_key=entry.data_file.partition)
        return index

    def _deletes_in(self, file: DataFile) -> Mapping[str, np.ndarray]:
        from pyiceberg.io.pyarrow import _read_deletes

        if file.file_path not in self._read:
            found = _read_deletes(self.table.io, file)
            self._read[file.file_path] = {path: places.to_numpy() for path, places in found.items()}
        return self._read[file.file_path]


def _refuse_equality_deletes(table: Table, step: Step, before: _State, after: _State, *, removes: bool) -> None:
    """Which rows an equality delete removes is in no file: every older file would have to be read."""
    changed = before.equality ^ after.equality
    if not changed and not (removes and before.equality):
        return
    named = step.after or step.before
    raise ChangesUnreadable(
        f"snapshot {named.snapshot_id if named else ''} of {'.'.join(table.name())} has equality deletes, which the "
        "change feed cannot follow (nor can Spark's changelog); read the table in full, and let its writer use "
        "copy-on-write or position deletes"
    )
