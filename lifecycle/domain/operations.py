"""Operations on tables: compaction, expiry and the like, as a plan, while they run, and what they did."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen
from pydantic import AwareDatetime, StringConstraints

from lifecycle.domain.model import Frozen, SnapshotId

_Name = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
_Bytes = Annotated[int, Ge(1), Le(2**50)]
Strategy = Literal["binpack", "sort", "zorder"]


class OperationKind(StrEnum):
    """What is done to a table."""

    COMPACT = "compact"
    MANIFESTS = "rewrite_manifests"
    EXPIRE = "expire"
    ORPHANS = "orphans"
    VACUUM = "vacuum"

    @property
    def moves_ref(self) -> bool:
        """Whether it commits snapshots; the others only remove what nobody needs."""
        return self not in (OperationKind.EXPIRE, OperationKind.ORPHANS)


class CompactOptions(Frozen):
    """How data files are rewritten. `columns` are those to sort by; `where` limits it to files that may match."""

    strategy: Strategy = "binpack"
    columns: Annotated[tuple[_Name, ...], MaxLen(32)] = ()
    where: Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")] = ""
    target_bytes: _Bytes | None = None
    min_files: Annotated[int, Ge(1), Le(1_000_000)] = 5
    all: bool = False


class ManifestOptions(Frozen):
    """How large rewritten manifests become."""

    target_bytes: _Bytes | None = None


class ExpireOptions(Frozen):
    """Which snapshots go. What is None comes from the table's `history.expire.*`; `refs`: only of these branches."""

    retain_last: Annotated[int, Ge(1), Le(1_000_000)] | None = None
    older_than: AwareDatetime | None = None
    refs: Annotated[tuple[_Name, ...], MaxLen(100)] = ()


class OrphanOptions(Frozen):
    """Files younger than `older_than` stay: a write that is under way may need them. `dry_run` lists only."""

    older_than: Annotated[timedelta, Ge(timedelta(0))] = timedelta(days=3)
    dry_run: bool = True


class VacuumOptions(Frozen):
    """All of it, in the right order."""

    compact: CompactOptions = CompactOptions()
    manifests: ManifestOptions = ManifestOptions()
    expire: ExpireOptions = ExpireOptions()
    orphans: OrphanOptions = OrphanOptions()


Options = CompactOptions | ManifestOptions | ExpireOptions | OrphanOptions | VacuumOptions
OPTIONS: Mapping[OperationKind, type[Options]] = {
    OperationKind.COMPACT: CompactOptions,
    OperationKind.MANIFESTS: ManifestOptions,
    OperationKind.EXPIRE: ExpireOptions,
    OperationKind.ORPHANS: OrphanOptions,
    OperationKind.VACUUM: VacuumOptions,
}


class OperationPlan(Frozen):
    """What an operation would do to `table` at `ref`, from metadata alone.

    `reasons` say why it is needed or not; `figures` are counts such as `files_before` and `files_after`; `digest` says
    that two plans are the same.
    """

    kind: OperationKind
    table: str
    ref: str
    base: SnapshotId | None
    needed: bool
    reasons: tuple[str, ...]
    figures: dict[str, int]
    cost: str
    digest: str


def plan_digest(
    kind: OperationKind, table_uuid: str, ref: str, base: int | None, options: Options, figures: Mapping[str, int]
) -> str:
    """The digest of a plan: the same table, state, options and figures give the same one."""
    said = [kind.value, table_uuid, ref, str(base), options.model_dump(mode="json"), dict(sorted(figures.items()))]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class CompactResult(Frozen):
    """`snapshot` is the last one that it committed; None where nothing needed it. `applied_deletes` counts rows."""

    rewritten_files: int
    new_files: int
    rewritten_bytes: int
    new_bytes: int
    applied_deletes: int
    snapshot: SnapshotId | None


class ManifestResult(Frozen):
    rewritten_manifests: int
    new_manifests: int


class ExpireResult(Frozen):
    expired_count: int
    remaining_count: int
    deleted_files: int
    deleted_bytes: int


class OrphanResult(Frozen):
    """`files` are the first 1,000 by name. With `dry_run` nothing was removed."""

    orphan_count: int
    removed_bytes: int
    removed_count: int
    files: tuple[str, ...]
    dry_run: bool


class VacuumResult(Frozen):
    """What each part did; None for one that was not needed."""

    compact: CompactResult | None = None
    manifests: ManifestResult | None = None
    expire: ExpireResult | None = None
    orphans: OrphanResult | None = None


Result = CompactResult | ManifestResult | ExpireResult | OrphanResult | VacuumResult


class Progress(Frozen):
    """How far it is: `done` of `total` of `what`; `bytes` read or written so far."""

    done: int
    total: int
    what: str
    bytes: int = 0


class OperationState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self in (OperationState.DONE, OperationState.FAILED, OperationState.CANCELLED)


class OperationAt(Frozen):
    """What an operation works on: a table by its exact name, and a branch of it."""

    table: str
    ref: str


class Operation(Frozen):
    """An operation that somebody asked for. `cancelling`: somebody asked it to stop."""

    id: int
    kind: OperationKind
    table: str
    ref: str
    options: dict[str, Any]
    plan: OperationPlan | None
    state: OperationState
    progress: Progress | None = None
    result: Result | None = None
    error: str | None = None
    asked_by: str
    at: datetime
    ended_at: datetime | None = None
    cancelling: bool = False
