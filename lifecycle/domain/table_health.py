"""How well a table is kept: numbers from its metadata, what they cost, and a score.

A number at its threshold costs one point, ten times the threshold costs all points of its kind, and what lies between
costs in proportion to the number's logarithm. What all kinds cost is taken from 100.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from lifecycle.domain.model import Frozen, SnapshotId

BEST = 100
HEALTHY = "Healthy: nothing to do"


class HealthKind(StrEnum):
    """What is measured. The values are names of settings and of table properties."""

    SMALL_FILES = "small_files"
    SIZE_SKEW = "size_skew"
    DELETE_FILES = "delete_files"
    DELETED_ROWS = "deleted_rows"
    SNAPSHOTS = "snapshots"
    MANIFESTS = "manifests"
    MANIFEST_BYTES = "manifest_bytes"
    METADATA_BYTES = "metadata_bytes"
    PARTITION_SKEW = "partition_skew"
    SORT_DRIFT = "sort_drift"
    ORPHANS = "orphans"


# The most points that each kind can cost.
POINTS: Mapping[HealthKind, int] = {
    HealthKind.SMALL_FILES: 50,
    HealthKind.SIZE_SKEW: 5,
    HealthKind.DELETE_FILES: 20,
    HealthKind.DELETED_ROWS: 20,
    HealthKind.SNAPSHOTS: 15,
    HealthKind.MANIFESTS: 20,
    HealthKind.MANIFEST_BYTES: 5,
    HealthKind.METADATA_BYTES: 15,
    HealthKind.PARTITION_SKEW: 5,
    HealthKind.SORT_DRIFT: 15,
    HealthKind.ORPHANS: 10,
}
# What fixes each kind. A test holds that these commands exist.
COMMANDS: Mapping[HealthKind, str] = {
    HealthKind.SMALL_FILES: "drls maintain compact {table}",
    HealthKind.DELETE_FILES: "drls maintain compact {table}",
    HealthKind.DELETED_ROWS: "drls maintain compact {table}",
    HealthKind.SORT_DRIFT: "drls maintain compact {table} --strategy sort",
    HealthKind.SNAPSHOTS: "drls maintain expire {table}",
    HealthKind.METADATA_BYTES: "drls maintain expire {table}",
    HealthKind.MANIFESTS: "drls maintain manifests {table}",
    HealthKind.MANIFEST_BYTES: "drls maintain manifests {table}",
    HealthKind.ORPHANS: "drls maintain orphans {table} --remove",
}


class HealthReason(Frozen):
    """A number of a table. It costs `points` from its threshold on; `command` fixes it, empty where none does."""

    kind: HealthKind
    number: float
    threshold: float
    points: int
    text: str
    command: str = ""


class HealthCost(Frozen):
    """What leaving the table as it is costs.

    `extra_files` are the files that a full scan opens besides those that the bytes need; `scan_overhead` is what they
    add to it, in percent, where opening a file takes as long as reading 4 MiB. `history_bytes` are held by old
    snapshots alone. Money is per month, at the configured price of storage.
    """

    extra_files: int
    scan_overhead: float
    history_bytes: int
    storage_price: float
    history_price: float
    currency: str


class HealthReport(Frozen):
    """How a table's files are, from metadata alone. `recommendation` says what to do, in a sentence.

    `reasons` are the numbers that cost points, worst first; `measures` are all numbers, also the good ones. A file is
    small when it has less than three quarters of `target_bytes`. `policy` has the table's own `drls.maintenance.*`.
    """

    name: str
    snapshot: SnapshotId | None
    snapshot_count: int
    data_file_count: int
    small_file_count: int
    delete_file_count: int
    manifest_count: int
    bytes: int
    target_bytes: int
    recommendation: str
    score: int = BEST
    reasons: tuple[HealthReason, ...] = ()
    measures: tuple[HealthReason, ...] = ()
    cost: HealthCost | None = None
    manifest_bytes: int = 0
    metadata_bytes: int | None = None
    policy: dict[str, str] = Field(default_factory=dict[str, str])


class TableHealth(Frozen):
    """A table of a list. One that cannot be read has an `error` and no score.

    `reasons` are the kinds that cost points, worst first; `policy` has the table's own `drls.maintenance.*`.
    """

    name: str
    score: int | None
    recommendation: str = ""
    reasons: tuple[HealthKind, ...] = ()
    snapshot_count: int = 0
    data_file_count: int = 0
    small_file_count: int = 0
    delete_file_count: int = 0
    bytes: int = 0
    extra_files: int = 0
    history_bytes: int = 0
    at: datetime | None = None
    error: str | None = None
    policy: dict[str, str] = Field(default_factory=dict[str, str])

    @property
    def worst_first(self) -> tuple[int, str]:
        """What cannot be read comes first."""
        return (-1 if self.score is None else self.score, self.name)


class HealthLook(Frozen):
    """How a table was from `at` on, until the next look that found something else. `points`: what each kind cost."""

    at: datetime
    snapshot: SnapshotId | None
    score: int
    points: dict[HealthKind, int]
    snapshot_count: int
    data_file_count: int
    small_file_count: int
    delete_file_count: int
    manifest_count: int
    bytes: int


class Measure(Frozen):
    """A number before it is judged: `advice` says what to do about it, `floor` raises its threshold."""

    kind: HealthKind
    number: float
    text: str
    advice: str = ""
    floor: float = 0


def judge(name: str, measures: Iterable[Measure], thresholds: Mapping[HealthKind, float]) -> Judgement:
    """The score of a table, and what each number costs."""
    judged = [(one, _reason(name, one, max(thresholds[one.kind], one.floor))) for one in measures]
    costly = sorted((pair for pair in judged if pair[1].points), key=lambda pair: -pair[1].points)
    text = "; ".join(dict.fromkeys(one.advice for one, _ in costly if one.advice))
    return Judgement(
        score=max(BEST - sum(reason.points for _, reason in judged), 0),
        reasons=tuple(reason for _, reason in costly),
        measures=tuple(reason for _, reason in judged),
        recommendation=text[:1].upper() + text[1:] if text else "; ".join(r.text for _, r in costly) or HEALTHY,
    )


class Judgement(Frozen):
    """What `judge` found."""

    score: int
    reasons: tuple[HealthReason, ...]
    measures: tuple[HealthReason, ...]
    recommendation: str


def points_of(kind: HealthKind, number: float, threshold: float) -> int:
    """What a number costs."""
    if number < threshold or number <= 0:
        return 0
    most = POINTS[kind]
    return min(max(math.ceil(most * math.log10(number / threshold)), 1), most)


def _reason(name: str, one: Measure, threshold: float) -> HealthReason:
    points = points_of(one.kind, one.number, threshold)
    command = COMMANDS.get(one.kind, "") if points else ""
    return HealthReason(
        kind=one.kind,
        number=round(one.number, 2),
        threshold=threshold,
        points=points,
        text=one.text,
        command=command.format(table=shlex.quote(name)),
    )


def health_line(report: HealthReport, at: datetime | None) -> TableHealth:
    """A report as a list shows it."""
    return TableHealth(
        name=report.name,
        score=report.score,
        recommendation=report.recommendation,
        reasons=tuple(one.kind for one in report.reasons),
        snapshot_count=report.snapshot_count,
        data_file_count=report.data_file_count,
        small_file_count=report.small_file_count,
        delete_file_count=report.delete_file_count,
        bytes=report.bytes,
        extra_files=report.cost.extra_files if report.cost else 0,
        history_bytes=report.cost.history_bytes if report.cost else 0,
        at=at,
        policy=report.policy,
    )


def health_look(report: HealthReport, at: datetime) -> HealthLook:
    """A report as the history keeps it."""
    return HealthLook(
        at=at,
        snapshot=report.snapshot,
        score=report.score,
        points={one.kind: one.points for one in report.reasons},
        snapshot_count=report.snapshot_count,
        data_file_count=report.data_file_count,
        small_file_count=report.small_file_count,
        delete_file_count=report.delete_file_count,
        manifest_count=report.manifest_count,
        bytes=report.bytes,
    )
