"""Settle permits: what became of those whose lease ran out is read from the ref's history (L11)."""

from __future__ import annotations

from contextlib import nullcontext

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.readiness import Waiting
from lifecycle.domain.run import MaintenancePermit, Permit, PermitState
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.receipts import write_maintenance_receipt, write_receipt
from lifecycle.usecases.parts.rounds import Round


def settle_permits(
    ctx: Context,
    acting: Actor,
    pipeline_id: int | None = None,
    environment: Environment | None = None,
    *,
    work: Round | None = None,
) -> Waiting | None:
    """Closes every live permit whose lease is over; answers which one is still within its lease.

    With `work`, one that cannot be settled is kept there, and the others are settled all the same.
    """
    with ctx.store.read() as view:
        live = view.runs.live_permits(pipeline_id, environment)
        maintenance = view.runs.live_maintenance(pipeline_id, environment)
        now = view.now
    waiting: Waiting | None = None
    for permit in live:
        if permit.lease_until > now:
            why = f"a run is publishing {permit.table_name} under permit {permit.id}"
            waiting = Waiting(why=why, until=permit.lease_until)
            continue
        with work.item(f"permit:{permit.id}", f"settling it for {permit.table_name}") if work else nullcontext():
            _settle(ctx, acting, permit, published=is_published(ctx, permit))
    for permit in maintenance:
        if permit.lease_until > now:
            why = f"maintenance is rewriting {permit.table_name} under permit {permit.id}"
            waiting = Waiting(why=why, until=permit.lease_until)
            continue
        with work.item(permit.run_id, f"settling it for {permit.table_name}") if work else nullcontext():
            _settle_maintenance(ctx, acting, permit, published=is_rewritten(ctx, permit))
    return waiting


def is_published(ctx: Context, permit: Permit) -> bool:
    """Whether the permit's candidate is on the ref."""
    head = ctx.plane.table(permit.table_name, permit.environment).head
    since = ctx.plane.snapshots(permit.table_name, permit.environment, head, permit.base)
    return any(snapshot.id == permit.candidate for snapshot in since)


def is_rewritten(ctx: Context, permit: MaintenancePermit) -> bool:
    """Whether a maintenance permit's candidate is on the ref."""
    head = ctx.plane.table(permit.table_name, permit.environment).head
    since = ctx.plane.snapshots(permit.table_name, permit.environment, head, permit.base)
    return any(snapshot.id == permit.candidate for snapshot in since)


def _settle_maintenance(ctx: Context, acting: Actor, permit: MaintenancePermit, *, published: bool) -> None:
    with ctx.store.write(acting, "settle_permits") as unit:
        current = unit.runs.maintenance(permit.id)
        if current.state is not PermitState.LIVE:
            return
        if published:
            write_maintenance_receipt(unit, current)
        else:
            unit.runs.close_maintenance(current, PermitState.VOID)
            unit.audit("maintenance.void", permit.run_id, reason="its lease expired before it was used")


def _settle(ctx: Context, acting: Actor, permit: Permit, *, published: bool) -> None:
    with ctx.store.write(acting, "settle_permits") as unit:
        current = unit.runs.permit(permit.id)
        if current.state is not PermitState.LIVE:
            return
        if published:
            write_receipt(unit, current)
        else:
            unit.runs.close_permit(current, PermitState.VOID)
            unit.audit("permit.void", f"permit:{permit.id}", reason="its lease expired before it was used")
