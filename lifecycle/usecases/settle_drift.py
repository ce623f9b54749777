"""Adopt or revert drift: a LeadDataEngineer takes a foreign write over, or undoes it (L15)."""

from __future__ import annotations

from typing import Literal

from lifecycle.domain.environment import Role
from lifecycle.domain.people import Actor
from lifecycle.domain.run import Drift
from lifecycle.errors import Invalid, Refused
from lifecycle.ports import Move, MoveResult
from lifecycle.store.unit import View
from lifecycle.usecases.access import require, target_of
from lifecycle.usecases.context import Context


def settle_drift(
    ctx: Context,
    actor: Actor,
    drift_id: int,
    how: Literal["adopt", "revert"],
    *,
    reason: str,
    key: str | None = None,
) -> Drift:
    """`adopt`: the head counts as explained from now on. `revert`: back to the newest receipt."""
    if not reason.strip():
        raise Invalid("adopting or reverting drift needs a reason")
    with ctx.store.read() as view:
        drift = view.runs.drift(drift_id)
        pipeline = view.pipelines.get(drift.pipeline_id)
        require(view, actor, Role.LEAD, target_of(view, pipeline), "settling drift")
        back_to = _newest_receipt(view, drift)
    if how == "revert" and drift.state == "open":
        _revert(ctx, drift, back_to)
    command = {"drift": drift_id, "how": how, "reason": reason}
    with ctx.store.write(actor, "settle_drift", key=key, command=command) as unit:
        earlier = unit.earlier(Drift)
        if earlier is not None:
            return earlier
        require(unit, actor, Role.LEAD, target_of(unit, pipeline), "settling drift")
        state = "adopted" if how == "adopt" else "reverted"
        unit.runs.close_drift(drift, state, reason, actor.person)
        unit.audit(
            f"drift.{state}",
            f"pipeline:{pipeline.name}",
            drift=drift.id,
            table=drift.table_name,
            reason=reason,
        )
        return unit.remember(unit.runs.drift(drift_id))


def _newest_receipt(view: View, drift: Drift) -> int | None:
    receipts = view.runs.receipts_on(drift.table_name, drift.environment)
    return receipts[-1].snapshot if receipts else None


def _revert(ctx: Context, drift: Drift, back_to: int | None) -> None:
    if back_to is None or drift.found is None:
        raise Refused(f"{drift.table_name} has no receipt to go back to; adopt the drift instead")
    move = Move(
        table=drift.table_name,
        ref=drift.ref,
        base=drift.found,
        candidate=back_to,
        tag=f"drls-revert-{drift.id}",
    )
    if ctx.plane.move(move, drift.environment) is MoveResult.CONFLICT:
        raise Refused(f"{drift.table_name} was written again since; reconcile, then look again")
