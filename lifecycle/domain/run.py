"""Runs as the lifecycle sees them: admitted once (L10), publishing under permits (L11), leaving receipts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from lifecycle.domain.environment import Environment
from lifecycle.domain.fence import FenceKind
from lifecycle.domain.model import ColumnValue, Frozen, Offsets, SnapshotId
from lifecycle.domain.seal import Seal


class SessionState(StrEnum):
    """PENDING: the branches are opened when the version's first run starts."""

    PENDING = "pending"
    OPEN = "open"
    CLOSED = "closed"


class Session(Frozen):
    """An evidence session: `bases` is where each table's branch started, None for a table without data."""

    id: int
    environment: Environment
    pipeline_id: int
    version_id: int
    state: SessionState
    bases: dict[str, SnapshotId | None]
    created_at: datetime
    opened_at: datetime | None
    closed_at: datetime | None


class AdmissionState(StrEnum):
    """QUEUED waits for the run before it; one is RUNNING per pipeline and environment."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    REVOKED = "revoked"

    @property
    def is_live(self) -> bool:
        return self in (AdmissionState.QUEUED, AdmissionState.RUNNING)


class Outcome(StrEnum):
    """How a run ended, in the orchestrator's word. People read it; a rule reads it only to refuse (L14)."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Admission(Frozen):
    """One run of one pipeline, tied to the version that it was admitted with.

    `outcome` is None while it is not known, and for runs from before it was kept.
    """

    id: int
    run_id: str
    root_run_id: str
    environment: Environment
    pipeline_id: int
    version_id: int
    session_id: int | None
    state: AdmissionState
    parameters: dict[str, Any]
    way_in: str
    admitted_by: int | None
    admitted_at: datetime
    ended_at: datetime | None
    why: str
    outcome: Outcome | None = None

    @property
    def has_begun(self) -> bool:
        """It has its turn and, in QA and UAT, its evidence session, which it may have to open first."""
        has_session = self.session_id is not None or not self.environment.has_sessions
        return self.state is AdmissionState.RUNNING and has_session


class PermitState(StrEnum):
    """LIVE until it is used, its publish was found never to have happened, or it is revoked."""

    LIVE = "live"
    USED = "used"
    VOID = "void"
    REVOKED = "revoked"


class CheckResult(Frozen):
    """What one check found on what was written. `digest` ties it to the check in the spec."""

    node: str
    check: str
    passed: bool
    blocking: bool = True
    observed: str = ""


class InputRead(Frozen):
    """What a step read, as it was pinned (D1).

    `files` and `bytes` are what was pinned of a file source. `rows` is how many rows were read of the source, exactly;
    where nobody can say, it is None and `rows_unknown` says why. Receipts of an older DRLS have neither.
    `dead_letters` is how many of them were messages that a Kafka source has set aside; None where it sets none aside.
    """

    node: str
    name: str
    table_uuid: str | None = None
    ref: str | None = None
    snapshot: SnapshotId | None = None
    fingerprint: str | None = None
    files: int | None = None
    bytes: int | None = None
    rows: int | None = None
    rows_unknown: str | None = None
    dead_letters: int | None = None

    @property
    def told(self) -> str:
        """For people: what was read, and how much of it."""
        name = self.name if self.snapshot is None else f"{self.name}@{self.snapshot}"
        return f"{name} ({self.amount})" if self.amount else name

    @property
    def amount(self) -> str:
        """`3 files, 1,200 rows`, `100 rows, 2 of them dead letters`; empty where the receipt does not say."""
        files = None if self.files is None else f"{self.files:,} file{'' if self.files == 1 else 's'}"
        rows = None if self.rows is None else f"{self.rows:,} row{'' if self.rows == 1 else 's'}"
        unknown = "rows not counted" if self.rows_unknown else None
        letters = None if self.dead_letters is None else f"{self.dead_letters:,} of them dead letters"
        return ", ".join(one for one in (files, rows or unknown, letters) if one)


class Work(Frozen):
    """What a step says about what it wrote; part of the permit, kept in the receipt.

    `seal` is what DRLS itself found in the files, whatever the step says. None for receipts of an older DRLS.
    """

    inputs: tuple[InputRead, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    rows: int | None = None
    bytes: int | None = None
    seconds: float | None = None
    positions: dict[str, SnapshotId | Offsets | ColumnValue] = Field(default_factory=dict)
    tools: dict[str, str] = Field(default_factory=dict)
    table_uuid: str | None = None
    fence: FenceKind | None = None  # what confined the run's code; None for runs from before it was kept
    seal: Seal | None = None


class Permit(Frozen):
    """Leave to move `ref` of `table_name` from `base` to `candidate`, once, until `lease_until`."""

    id: int
    admission_id: int
    environment: Environment
    pipeline_id: int
    version_id: int
    session_id: int | None
    step: str
    partition: str
    table_name: str
    ref: str
    base: SnapshotId | None
    candidate: SnapshotId
    details: Work
    state: PermitState
    granted_at: datetime
    lease_until: datetime
    closed_at: datetime | None


class Receipt(Frozen):
    """Proof that a snapshot was published by a version: by a run's permit, or by a promotion."""

    id: int
    permit_id: int | None
    promotion_id: int | None
    run_id: str
    root_run_id: str
    environment: Environment
    pipeline_id: int
    version_id: int
    session_id: int | None
    step: str
    partition: str
    table_name: str
    ref: str
    base: SnapshotId | None
    snapshot: SnapshotId
    details: Work
    at: datetime


class MaintenancePermit(Frozen):
    """Leave to move production's ref of `table_name` from `base` to `candidate`, which holds the same rows (L15)."""

    id: int
    environment: Environment
    pipeline_id: int
    version_id: int
    table_name: str
    ref: str
    base: SnapshotId
    candidate: SnapshotId
    details: Work
    state: PermitState
    granted_at: datetime
    granted_by: int | None
    lease_until: datetime
    closed_at: datetime | None

    @property
    def run_id(self) -> str:
        """What its receipt names as the run."""
        return f"maintenance:{self.id}"


UNSETTLED = ("open", "reverting")


class Drift(Frozen):
    """A head of a governed ref that no permit explains (L15), or a `file` of production that is not as published (L17).

    `state` is open, reverting, adopted or reverted. While it is reverting, `expected` is the snapshot that the ref goes
    back to, `executor` who moves it until `lease_until`, and `outcome` what that waits for. Of an adopted compaction,
    `expected` is the snapshot whose rows it was found to hold. Of a file, `found` is the head that needs it, `why` what
    is wrong with it, and `seal`, once adopted, the root of what it is now.
    """

    id: int
    environment: Environment
    pipeline_id: int
    table_name: str
    ref: str
    expected: SnapshotId | None
    found: SnapshotId | None
    state: str
    reason: str
    found_at: datetime
    closed_at: datetime | None
    closed_by: int | None
    executor: str | None = None
    lease_until: datetime | None = None
    outcome: str = ""
    file: str | None = None
    why: str = ""
    seal: str | None = None

    @property
    def is_settled(self) -> bool:
        return self.state not in UNSETTLED

    @property
    def told(self) -> str:
        """What is wrong, without the table's name."""
        return self.why if self.file is not None else f"snapshot {self.found} has no permit"
