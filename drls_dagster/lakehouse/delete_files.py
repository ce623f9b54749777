"""Which delete files may name rows of which data files, as the specification of Iceberg has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pyiceberg.transforms import VoidTransform

from drls_dagster.lakehouse.rewriting import partition_of

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile, ManifestEntry
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.table import Table


def applies(delete: ManifestEntry, data: ManifestEntry) -> bool:
    """Whether a position delete file may name rows of a data file."""
    path = data.data_file.file_path.encode()
    low, high = referenced_paths(delete.data_file)
    return (
        (data.sequence_number or 0) <= (delete.sequence_number or 0)
        and (low is None or path >= low)
        and (high is None or path <= high)
        and partition_of(delete.data_file) == partition_of(data.data_file)
    )


def is_newer(delete: ManifestEntry, data: ManifestEntry) -> bool:
    """Whether an equality delete file may name rows of a data file of its partition."""
    return (delete.sequence_number or 0) > (data.sequence_number or 0)


class EqualityDeletes:
    """The equality delete files that may apply to a data file, whatever their sequence numbers.

    One applies within the partition of its spec; to every data file, where that spec has no partitions.
    """

    def __init__(self, table: Table, deletes: Iterable[ManifestEntry]) -> None:
        everywhere: list[ManifestEntry] = []
        within: dict[tuple[int, tuple[str, ...]], list[ManifestEntry]] = {}
        for one in deletes:
            if one.data_file.content == 2:
                is_wide = is_unpartitioned(table.specs()[one.data_file.spec_id])
                (everywhere if is_wide else within.setdefault(partition_of(one.data_file), [])).append(one)
        self._everywhere = tuple(everywhere)
        self._within = {partition: (*everywhere, *found) for partition, found in within.items()}

    def of(self, file: DataFile) -> tuple[ManifestEntry, ...]:
        """The same tuple for every file of a partition."""
        return self._within.get(partition_of(file), self._everywhere)


def is_unpartitioned(spec: PartitionSpec) -> bool:
    """Whether a spec has no partitions: no fields, or in format version 1 only those that were dropped."""
    return all(isinstance(one.transform, VoidTransform) for one in spec.fields)


def removable_deletes(
    table: Table,
    deletes: Iterable[ManifestEntry],
    data: Iterable[ManifestEntry],
    removed: frozenset[str],
    added: Iterable[tuple[int, DataFile]] = (),
) -> frozenset[str]:
    """Paths of delete files that no data file needs once `removed` are gone and `added`, by sequence number, are there.

    One of positions is needed while a live data file of its partition is as old or older and lies within its range of
    paths; one of equality while a data file that it may apply to is older.
    """
    deletes = list(deletes)
    by_equality = EqualityDeletes(table, deletes)
    before: list[tuple[int, DataFile]] = []
    left: dict[tuple[int, tuple[str, ...]], list[tuple[int, str]]] = {}
    for entry in data:
        file = entry.data_file
        if file.file_path not in removed:
            left.setdefault(partition_of(file), []).append((entry.sequence_number or 0, file.file_path))
            before.append((entry.sequence_number or 0, file))
    still = _needed_by_equality(by_equality, [*before, *added])
    found: set[str] = set()
    for entry in deletes:
        file = entry.data_file
        if file.content == 2:
            if file.file_path not in still:
                found.add(file.file_path)
            continue
        low, high = referenced_paths(file)
        needed = any(
            sequence <= (entry.sequence_number or 0)
            and (low is None or path.encode() >= low)
            and (high is None or path.encode() <= high)
            for sequence, path in left.get(partition_of(file), ())
        )
        if not needed:
            found.add(file.file_path)
    return frozenset(found)


def _needed_by_equality(deletes: EqualityDeletes, data: Iterable[tuple[int, DataFile]]) -> set[str]:
    """Paths of the equality deletes that apply to any of the data files."""
    oldest: dict[tuple[int, tuple[str, ...]], tuple[int, DataFile]] = {}
    for sequence, file in data:
        partition = partition_of(file)
        if partition not in oldest or sequence < oldest[partition][0]:
            oldest[partition] = (sequence, file)
    return {
        one.data_file.file_path
        for sequence, file in oldest.values()
        for one in deletes.of(file)
        if (one.sequence_number or 0) > sequence
    }


_FILE_PATH = 2147483546


def referenced_paths(delete_file: DataFile) -> tuple[bytes | None, bytes | None]:
    """The smallest and the largest data file path that a position delete file may name; None where it does not say."""
    return (delete_file.lower_bounds or {}).get(_FILE_PATH), (delete_file.upper_bounds or {}).get(_FILE_PATH)
