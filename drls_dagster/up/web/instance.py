"""The Dagster instance of the web process: what is launched through it carries the name of whoever asked for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from drls_dagster.dagster_private.instance import InstanceRef, open_as
from drls_dagster.dagster_private.tags import USER_TAG
from drls_dagster.dagster_private.workspace import (
    BaseWorkspaceRequestContext,
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
)
from drls_dagster.gate.launched_by import LAUNCHED_BY_TAG, backfill_subject, run_subject
from drls_dagster.gate.parts import parts_of
from drls_dagster.gate.traced import tags_here
from drls_dagster.up.web.once import CLAIM_TAG, Claim, same_launch
from lifecycle.errors import Conflict

Pairs = Iterable[tuple[str, str]]
_SAME = 20


@dataclass(frozen=True)
class Admitted:
    """A request that the door let through. `sign` gives its visitor's signature; None for this home's own processes."""

    name: str
    sign: Callable[[str, Pairs], str] | None
    pipelines: frozenset[tuple[str, str]] = field(default=frozenset())
    claim: Claim | None = None


ADMITTED: ContextVar[Admitted | None] = ContextVar("ADMITTED", default=None)


class DoorInstance(dg.DagsterInstance):
    """Signs every run and every backfill, over whatever a caller or an earlier run has put there."""

    def submit_run(self, run_id: str, workspace: BaseWorkspaceRequestContext) -> dg.DagsterRun:
        admitted = _admitted()
        run = self.get_run_by_id(run_id)
        if run is not None:
            pairs = {(part.environment.value, part.pipeline) for part in parts_of(self, run)}
            self.add_run_tags(run_id, _tags(admitted, run_subject(run_id), pairs))
        return super().submit_run(run_id, workspace)

    def add_backfill(self, partition_backfill: PartitionBackfill) -> None:
        super().add_backfill(_signed(partition_backfill))

    def update_backfill(self, partition_backfill: PartitionBackfill) -> None:
        resumed = partition_backfill.status is BulkActionStatus.REQUESTED
        super().update_backfill(_signed(partition_backfill) if resumed else partition_backfill)


def door_instance(folder: Path) -> dg.DagsterInstance:
    """The instance in `folder` (a DAGSTER_HOME). Other processes open the same one as Dagster's own."""
    ref = InstanceRef.from_dir(str(folder))
    # Code servers are handed this reference, and launch nothing.
    return open_as(ref, DoorInstance)


def _signed(backfill: PartitionBackfill) -> PartitionBackfill:
    admitted = _admitted()
    tags = _tags(admitted, backfill_subject(backfill.backfill_id), admitted.pipelines)
    return backfill._replace(tags={**backfill.tags, **tags})


def _admitted() -> Admitted:
    admitted = ADMITTED.get()
    if admitted is None:
        raise dg.DagsterInvariantViolationError("DRLS: nobody requested this launch, so nothing is launched")
    return admitted


def _tags(admitted: Admitted, subject: str, pairs: Pairs) -> dict[str, str]:
    if admitted.sign is None:
        return {}
    claimed = {} if admitted.claim is None else admitted.claim.tags
    return {LAUNCHED_BY_TAG: admitted.sign(subject, pairs), USER_TAG: admitted.name, **claimed, **tags_here()}


def launched_under(instance: dg.DagsterInstance, claim: Claim, is_signed: Callable[[str, str], bool]) -> str | None:
    """The id of the run or backfill that a launch with this key made; None for the first launch with it.

    `is_signed(tag, subject)` says whether the key's owner launched it: a caller can put any tag on a run of their own.
    Raises Conflict where another launch was made under the key.
    """
    made: list[tuple[str, str, Mapping[str, str]]]
    if claim.is_backfill:
        wanted = BulkActionsFilter(tags={CLAIM_TAG: claim.name})
        backfills = instance.get_backfills(filters=wanted, limit=_SAME)
        made = [(one.backfill_id, backfill_subject(one.backfill_id), one.tags) for one in backfills]
    else:
        runs = instance.get_runs(dg.RunsFilter(tags={CLAIM_TAG: claim.name}), limit=_SAME)
        made = [(one.run_id, run_subject(one.run_id), one.tags) for one in runs]
    for name, subject, tags in made:
        if is_signed(tags.get(LAUNCHED_BY_TAG, ""), subject):
            if not same_launch(claim, tags):
                raise Conflict(f"this Idempotency-Key was used for another launch, {name}; choose a new one")
            return name
    return None
