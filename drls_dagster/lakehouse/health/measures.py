"""The numbers of a snapshot's files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from drls_dagster.lakehouse.health.files import DataFile, DeleteFile, Manifest, Partition, data_files, delete_files
from lifecycle.domain.table_files import SMALL_SHARE
from lifecycle.domain.table_health import HealthKind, Measure

WORTH_IT = 5  # small files of one partition, as Iceberg's own compaction counts
_FEW_FILES, _FEW_PARTITIONS = 5, 3  # below that, nothing is skewed
_OPENING = 4 * 2**20  # what opening a file costs, in bytes that could be read meanwhile; Spark counts the same


@dataclass(frozen=True)
class Numbers:
    """What the files of a snapshot add up to. `extra` files a scan opens besides those that the bytes need."""

    files: tuple[DataFile, ...]
    deletes: tuple[DeleteFile, ...]
    manifests: int
    manifest_bytes: int
    target: int
    bytes: int
    rows: int
    small: int
    saved: int
    extra: int
    partitions: dict[Partition, int]

    @classmethod
    def of(cls, found: Sequence[Manifest], target: int) -> Numbers:
        files = data_files(found)
        limit = target * SMALL_SHARE
        sizes: dict[Partition, int] = defaultdict(int)
        counts: dict[Partition, int] = defaultdict(int)
        small: dict[Partition, list[int]] = defaultdict(list)
        for partition, _, size, _, _ in files:
            sizes[partition] += size
            counts[partition] += 1
            if size < limit:
                small[partition].append(size)
        # What compaction would save: a group becomes as few files as its bytes need.
        worth = [some for some in small.values() if len(some) >= WORTH_IT]
        return cls(
            files=tuple(files),
            deletes=tuple(delete_files(found)),
            manifests=len(found),
            manifest_bytes=sum(one.bytes for one in found),
            target=target,
            bytes=sum(sizes.values()),
            rows=sum(one.rows for one in files),
            small=sum(len(some) for some in small.values()),
            saved=sum(len(some) - _needed(sum(some), target) for some in worth),
            extra=sum(max(counts[one] - _needed(size, target), 0) for one, size in sizes.items()),
            partitions=dict(sizes),
        )

    @property
    def scan_overhead(self) -> float:
        """What the extra files and the delete files add to a full scan, in percent."""
        needed = len(self.files) - self.extra
        added = (self.extra + len(self.deletes)) * _OPENING + sum(one.bytes for one in self.deletes)
        whole = self.bytes + needed * _OPENING
        return round(100 * added / whole, 1) if whole else 0.0


def of_files(numbers: Numbers) -> list[Measure]:
    """How large the files are, and how they are spread."""
    count = len(numbers.files)
    found = [
        Measure(
            kind=HealthKind.SMALL_FILES,
            number=numbers.saved,
            floor=count * 0.05,
            text=f"{numbers.small:,} of {count:,} data files are small; compaction would save {numbers.saved:,}",
            advice=f"compact it: {count:,} data files could be {count - numbers.saved:,}",
        )
    ]
    if count >= _FEW_FILES:
        sizes = [one.bytes for one in numbers.files]
        # What compaction puts right is no skew: then the largest is compared with a file as it should be.
        usual = max(median(sizes), numbers.target * SMALL_SHARE if numbers.saved else 1)
        factor = max(sizes) / usual
        text = f"the largest data file is {_times(factor)} a usual one"
        found.append(Measure(kind=HealthKind.SIZE_SKEW, number=factor, text=text))
    if len(numbers.partitions) >= _FEW_PARTITIONS:
        factor = max(numbers.partitions.values()) / max(median(numbers.partitions.values()), 1)
        text = f"the largest of {len(numbers.partitions):,} partitions is {_times(factor)} the median one"
        found.append(Measure(kind=HealthKind.PARTITION_SKEW, number=factor, text=text))
    return found


def of_deletes(numbers: Numbers) -> list[Measure]:
    """What readers apply to the data files."""
    count = len(numbers.deletes)
    equality = sum(one.by_equality for one in numbers.deletes)
    hidden = sum(one.rows for one in numbers.deletes if not one.by_equality)
    share = 100 * hidden / numbers.rows if numbers.rows else 0.0
    advice = f"compact it to apply {count:,} delete file{'s' if count > 1 else ''}"
    kinds = f", {equality:,} of them by equality" if equality else ""
    return [
        Measure(
            kind=HealthKind.DELETE_FILES,
            number=count,
            floor=len(numbers.files) * 0.02,
            text=f"{count:,} delete file{'' if count == 1 else 's'}{kinds}",
            advice=advice,
        ),
        Measure(
            kind=HealthKind.DELETED_ROWS,
            number=share,
            text=f"{share:.1f} % of the rows in data files are deleted",
            advice=advice,
        ),
    ]


def of_manifests(numbers: Numbers) -> list[Measure]:
    """What planning a scan reads."""
    count, size = numbers.manifests, numbers.manifest_bytes
    return [
        Measure(
            kind=HealthKind.MANIFESTS,
            number=count,
            floor=len(numbers.files) * 0.02,
            text=f"{count:,} manifest{'' if count == 1 else 's'} for {len(numbers.files):,} data files",
            advice=f"rewrite its {count:,} manifests",
        ),
        Measure(
            kind=HealthKind.MANIFEST_BYTES,
            number=size,
            text=f"planning a scan reads {size:,} bytes of manifests",
        ),
    ]


def _needed(size: int, target: int) -> int:
    return max(-(-size // target), 1)


def _times(factor: float) -> str:
    return f"{factor:,.0f} times" if factor >= 10 else f"{factor:.1f} times"
