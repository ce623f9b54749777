"""The files of a snapshot as health sees them: a few fields of each, read once per manifest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from drls_dagster.lakehouse.avro_rows import rows

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.table.snapshots import Snapshot

_LIST = ("500", "501", "502")
_FILES = ("0", "2.134", "2.102*", "2.103", "2.104")
_BOUNDS = ("2.125", "2.128")
_DELETED, _EQUALITY = 2, 2
_AT_ONCE = 8  # manifests, where each is a request to a bucket
_KEPT = 200_000  # files of manifests that are remembered, about 30 MB
Partition = tuple[int, bytes]
"""The spec's id, and the partition's values as the manifest has them."""


class DataFile(NamedTuple):
    """A data file. `low` and `high` bound the column that was asked for; None where the file does not say."""

    partition: Partition
    rows: int
    bytes: int
    low: bytes | None
    high: bytes | None


class DeleteFile(NamedTuple):
    """A file that says which rows are deleted: by position, or by equality with its own rows."""

    rows: int
    bytes: int
    by_equality: bool


@dataclass(frozen=True)
class Manifest:
    """A manifest, with the files that live in it."""

    bytes: int
    data: tuple[DataFile, ...]
    deletes: tuple[DeleteFile, ...]


def manifests(io: FileIO, snapshot: Snapshot, bounds_of: int | None) -> list[Manifest]:
    """Those of a snapshot; with the bounds of the column with this id.

    Raises ValueError for a file that is not a manifest, OSError for one that is not there.
    """
    if snapshot.manifest_list is None:
        # Tables of the first days of format v1 name their manifests in the metadata.
        listed = [(one.manifest_path, one.manifest_length, one.partition_spec_id) for one in snapshot.manifests(io)]
    else:
        listed = list(rows(_bytes(io, snapshot.manifest_list), _LIST))
    missing = [one for one in listed if (one[0], bounds_of) not in _known]
    if len(missing) > 1 and not missing[0][0].startswith(("/", "file:")):
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            fresh = dict(zip(missing, threads.map(lambda one: _read(io, one, bounds_of), missing), strict=True))
    else:
        fresh = {one: _read(io, one, bounds_of) for one in missing}
    return [fresh.get(one) or _known.get((one[0], bounds_of)) or _read(io, one, bounds_of) for one in listed]


def _read(io: FileIO, listed: tuple[str, int, int | None], bounds_of: int | None) -> Manifest:
    path, length, spec = listed
    data: list[DataFile] = []
    deletes: list[DeleteFile] = []
    partitions: dict[bytes, Partition] = {}  # one object for all files of a partition
    wanted = _FILES if bounds_of is None else (*_FILES, *_BOUNDS)
    for status, content, values, records, size, *bounds in rows(_bytes(io, path), wanted):
        if status == _DELETED:
            continue
        if content:
            deletes.append(DeleteFile(records, size, content == _EQUALITY))
            continue
        partition = partitions.setdefault(values or b"", (spec or 0, values or b""))
        low, high = ((one or {}).get(bounds_of) for one in bounds) if bounds else (None, None)
        data.append(DataFile(partition, records, size, low, high))
    found = Manifest(length, tuple(data), tuple(deletes))
    _known.keep((path, bounds_of), found)
    return found


def _bytes(io: FileIO, path: str) -> bytes:
    with io.new_input(path).open() as file:
        return file.read()


class _Known:
    """Manifests never change, so what was read of one stays true. The oldest are forgotten."""

    def __init__(self) -> None:
        self._of: OrderedDict[tuple[str, int | None], Manifest] = OrderedDict()
        self._files = 0
        self._line = threading.Lock()

    def __contains__(self, key: object) -> bool:
        return key in self._of

    def get(self, key: tuple[str, int | None]) -> Manifest | None:
        with self._line:
            found = self._of.get(key)
            if found is not None:
                self._of.move_to_end(key)
            return found

    def keep(self, key: tuple[str, int | None], one: Manifest) -> None:
        with self._line:
            if key in self._of:
                return
            self._of[key] = one
            self._files += _weight(one)
            while self._files > _KEPT and len(self._of) > 1:
                _, gone = self._of.popitem(last=False)
                self._files -= _weight(gone)

    def clear(self) -> None:
        with self._line:
            self._of.clear()
            self._files = 0


def _weight(one: Manifest) -> int:
    return len(one.data) + len(one.deletes) + 1


_known = _Known()


def forget() -> None:
    """Reads every manifest again."""
    _known.clear()


def data_files(found: Sequence[Manifest]) -> list[DataFile]:
    return [file for one in found for file in one.data]


def delete_files(found: Sequence[Manifest]) -> list[DeleteFile]:
    return [file for one in found for file in one.deletes]
