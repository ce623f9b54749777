"""The files of a table at a snapshot: their sizes, their partitions, and one by one."""

from __future__ import annotations

from enum import StrEnum

from lifecycle.domain.model import Frozen, SnapshotId

_KB, _MB, _GB = 1_000, 1_000_000, 1_000_000_000
# Of the target: what is smaller is worth compacting, as Iceberg's own compaction counts.
SMALL_SHARE = 0.75
# The upper limits of the sizes that are counted together.
BUCKETS = (
    *(10 * _KB, 100 * _KB, _MB, 4 * _MB, 16 * _MB, 32 * _MB, 64 * _MB),
    *(128 * _MB, 256 * _MB, 512 * _MB, _GB, 2 * _GB),
)


class FileOrder(StrEnum):
    LARGEST = "largest"
    SMALLEST = "smallest"
    PATH = "path"


class FilesAsked(Frozen):
    """Of the files in this order, `most` from the position `after`; and so many partitions, largest first."""

    order: FileOrder = FileOrder.LARGEST
    after: int = 0
    most: int = 100
    partitions: int = 100


class SizeBucket(Frozen):
    """Data files of `at_least` so many bytes and fewer than `below`; null: of any size from there on."""

    at_least: int
    below: int | None
    data_file_count: int
    bytes: int


class PartitionFiles(Frozen):
    """A partition by its values as people write them; null is a value of its own. `spec_id`: how it was partitioned."""

    partition: dict[str, str | None]
    spec_id: int
    data_file_count: int
    delete_file_count: int
    rows: int
    bytes: int
    smallest: int
    largest: int


class TableFile(Frozen):
    """A file. `content` is data, position deletes or equality deletes."""

    path: str
    content: str
    format: str
    partition: dict[str, str | None]
    rows: int
    bytes: int


class TableFiles(Frozen):
    """The files of a snapshot; `rows` includes rows that delete files hide. `next`: `after` of the next files."""

    name: str
    snapshot: SnapshotId | None
    data_file_count: int
    delete_file_count: int
    bytes: int
    rows: int
    target_bytes: int
    sizes: tuple[SizeBucket, ...]
    partitions: tuple[PartitionFiles, ...]
    partitions_total: int
    files: tuple[TableFile, ...]
    next: int | None = None
