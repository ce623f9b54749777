"""Which data files two snapshots differ in, and how much of them is read.

A file that both sides have, with no row of it deleted on either, can hold no difference: it is read for the
columns' statistics alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.domain.data_diff import DiffLimits

if TYPE_CHECKING:
    from pyiceberg.table import FileScanTask

_AT_LEAST = 10_000  # rows of one file in a sample: opening it costs more than reading them


@dataclass(frozen=True)
class Files:
    """Data files with what deletes rows of them."""

    tasks: tuple[FileScanTask, ...] = ()

    @property
    def rows(self) -> int:
        """Rows in the files; deleted ones count."""
        return sum(task.file.record_count for task in self.tasks)

    @property
    def bytes(self) -> int:
        return sum(task.file.file_size_in_bytes for task in self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)


@dataclass(frozen=True)
class FilePlan:
    """What is read: each side's own files, and those that both have."""

    before: Files
    after: Files
    same: Files

    def fraction(self, limits: DiffLimits) -> float:
        """The part of the rows that the row comparison may cover."""
        return _share((self.before, self.after), limits)

    def statistics_fraction(self, limits: DiffLimits) -> float:
        """The part of the rows that statistics may cover; never more than the row comparison."""
        sides = [Files(side.tasks + self.same.tasks) for side in (self.before, self.after)]
        return min(self.fraction(limits), _share(sides, limits))


def plan_files(before: Sequence[FileScanTask], after: Sequence[FileScanTask]) -> FilePlan:
    """Which files differ. One with deletes, on whichever side, is read on both with its deletes."""
    whole = [{task.file.file_path: task for task in side if not task.delete_files} for side in (before, after)]
    same = whole[0].keys() & whole[1].keys()
    return FilePlan(
        Files(tuple(task for task in before if task.file.file_path not in same)),
        Files(tuple(task for task in after if task.file.file_path not in same)),
        Files(tuple(whole[1][path] for path in sorted(same))),
    )


def sampled(files: Files, fraction: float) -> Iterator[tuple[FileScanTask, int | None]]:
    """Files with how many of their first rows to read (None: all), `fraction` of all rows; the same ones each time."""
    if fraction >= 1:
        yield from ((task, None) for task in files.tasks)
        return
    wanted = math.ceil(files.rows * fraction)
    for task in sorted(files.tasks, key=lambda one: hashlib.sha256(one.file.file_path.encode()).digest()):
        if wanted <= 0:
            return
        share = max(math.ceil(task.file.record_count * fraction), _AT_LEAST)
        yield task, share
        wanted -= min(share, task.file.record_count)


def _share(sides: Sequence[Files], limits: DiffLimits) -> float:
    rows = max(side.rows for side in sides)
    size = max(side.bytes for side in sides)
    return min(1.0, limits.rows / max(rows, 1), limits.bytes / max(size, 1))
