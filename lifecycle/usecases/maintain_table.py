"""Maintenance: leave for a commit on production that keeps every row, such as a compaction (L15).

As with a run: the snapshot is written to a branch, a permit names it, the ref is moved by compare-and-set, and the
receipt follows. Without a permit, a snapshot that calls itself `replace` is drift like any other.
"""

from __future__ import annotations

from datetime import timedelta

from lifecycle.domain.environment import Environment
from lifecycle.domain.operations import OperationAt
from lifecycle.domain.people import Actor
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.roles import Role
from lifecycle.domain.run import MaintenancePermit, PermitState, Receipt, Work
from lifecycle.domain.version import Pipeline
from lifecycle.errors import Conflict, NotFound, Refused
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.activation import require_no_execution
from lifecycle.usecases.parts.receipts import write_maintenance_receipt
from lifecycle.usecases.parts.table_holds import require_not_held
from lifecycle.usecases.settle_permits import is_rewritten

LEASE = timedelta(minutes=2)


def grant_maintenance(
    ctx: Context,
    actor: Actor,
    pipeline: str,
    table: str,
    base: int,
    candidate: int,
    *,
    lease: timedelta = LEASE,
) -> MaintenancePermit:
    """A single-use permit to move production's ref of `table` from `base` to `candidate`.

    Raises Refused where the candidate is more than rewritten files, and while production is stopped (L9), Conflict
    where it must wait.
    """
    with ctx.store.read() as view:
        _check(view, actor, pipeline, table)
    since = ctx.plane.snapshots(table, Environment.PRODUCTION, candidate, base)
    if not since or since[-1].parent != base or any(one.operation != "replace" for one in since):
        raise Refused(f"snapshot {candidate} of {table} is no rewrite of {base}: maintenance only replaces files")
    sealed = ctx.plane.seal(table, Environment.PRODUCTION, base, candidate)
    with ctx.store.write(actor, "grant_maintenance") as unit:
        owner, version_id = _check(unit, actor, pipeline, table)
        require_no_execution(unit, owner, Environment.PRODUCTION)
        known = _live(unit, owner, table, base, candidate)
        if known is not None:
            return known
        unit.seals.add(sealed)
        permit = unit.runs.add_maintenance(
            environment=Environment.PRODUCTION.value,
            pipeline_id=owner.id,
            version_id=version_id,
            table_name=table,
            ref=Environment.PRODUCTION.ref,
            base=base,
            candidate=candidate,
            details=Work(seal=sealed.seal).model_dump(mode="json"),
            granted_by=actor.person,
            lease_until=unit.now + lease,
        )
        unit.audit(
            "maintenance.granted",
            f"pipeline:{pipeline}",
            permit=permit.id,
            table=table,
            base=str(base),
            candidate=str(candidate),
            seal=sealed.seal.root,
        )
        return permit


def _check(view: View, actor: Actor, name: str, table: str) -> tuple[Pipeline, int]:
    """The pipeline and its version that is active in production, which writes `table`."""
    pipeline = view.pipelines.named(name)
    if actor.person is not None:
        require(view, actor, Role.LEAD, target_of(view, pipeline), "maintaining a table")
    require_not_held(view, OperationAt(table=table, ref=Environment.PRODUCTION.ref), HoldKind.STOP)
    active = view.deployments.active(pipeline.id, Environment.PRODUCTION)
    if active is None or table not in view.pipelines.tables(active.version_id):
        raise Refused(f"no active version of {name} writes {table} in production")
    return pipeline, active.version_id


def _live(unit: Unit, pipeline: Pipeline, table: str, base: int, candidate: int) -> MaintenancePermit | None:
    for run in unit.runs.live_permits(pipeline.id, Environment.PRODUCTION):
        if run.table_name == table:
            raise Conflict(f"permit {run.id} is publishing {table}; wait until it is used or expires")
    for other in unit.runs.live_maintenance(pipeline.id, Environment.PRODUCTION):
        if other.table_name == table:
            if (other.base, other.candidate) == (base, candidate):
                return other
            raise Conflict(f"maintenance permit {other.id} is rewriting {table}; wait until it is used or expires")
    return None


def record_maintenance(ctx: Context, actor: Actor, permit_id: int) -> Receipt:
    """The receipt of a used permit; writing it twice is writing it once. Raises Refused when it was not used."""
    with ctx.store.read() as view:
        permit = view.runs.maintenance(permit_id)
        known = view.runs.receipt_of_maintenance(permit)
    if known is not None:
        return known
    if not is_rewritten(ctx, permit):
        raise Refused(
            f"maintenance permit {permit_id}: snapshot {permit.candidate} is not on {permit.ref} of {permit.table_name}"
        )
    with ctx.store.write(actor, "record_maintenance") as unit:
        return write_maintenance_receipt(unit, unit.runs.maintenance(permit_id))


def release_maintenance(ctx: Context, actor: Actor, permit_id: int) -> None:
    """Gives an unused permit back at once, after the compare-and-set was refused."""
    with ctx.store.read() as view:
        permit = view.runs.maintenance(permit_id)
    if is_rewritten(ctx, permit):
        raise Refused(f"maintenance permit {permit_id} was used; record its receipt")
    with ctx.store.write(actor, "release_maintenance") as unit:
        current = unit.runs.maintenance(permit_id)
        if current.state is not PermitState.LIVE:
            raise NotFound(f"maintenance permit {permit_id} is {current.state.value}; there is nothing to return")
        unit.runs.close_maintenance(current, PermitState.VOID)
        unit.audit("maintenance.void", f"maintenance:{permit_id}", reason="returned unused")
