"""Adopt or revert drift: a LeadDataEngineer takes a foreign write over, or undoes it (L15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lifecycle.domain.checklist import Check, refuse
from lifecycle.domain.environment import Role
from lifecycle.domain.people import Actor
from lifecycle.domain.run import Drift, Receipt
from lifecycle.domain.version import Pipeline
from lifecycle.errors import Conflict, Invalid, Refused
from lifecycle.ports import Move, MoveResult, SnapshotFacts
from lifecycle.store.unit import View
from lifecycle.usecases.access import require, role_check, target_of
from lifecycle.usecases.context import Context

How = Literal["adopt", "revert"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What adopting or reverting a drift would do now, and what each would refuse.

    `receipt` is of the newest publish that DRLS knows: what a revert goes back to. `head` is where the ref is,
    `foreign` what was written since that publish, newest first.
    """

    drift: Drift
    pipeline: Pipeline
    receipt: Receipt | None
    head: int | None
    foreign: tuple[SnapshotFacts, ...]
    adopt: tuple[Check, ...]
    revert: tuple[Check, ...]


def plan_settlement(ctx: Context, actor: Actor, drift_id: int) -> Settlement:
    """What `settle_drift` would do; changes nothing."""
    with ctx.store.read() as view:
        drift = view.runs.drift(drift_id)
        pipeline = view.pipelines.get(drift.pipeline_id)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "looking at drift")
        adopt = adopt_checks(view, actor, drift, pipeline)
        receipt = _newest_receipt(view, drift)
    table, environment = drift.table_name, drift.environment
    head = ctx.plane.table(table, environment).head
    foreign = tuple(ctx.plane.snapshots(table, environment, drift.found, receipt.snapshot if receipt else None))
    revert = (*adopt, *revert_checks(drift, receipt, head))
    return Settlement(drift, pipeline, receipt, head, foreign, adopt, revert)


def adopt_checks(view: View, actor: Actor, drift: Drift, pipeline: Pipeline) -> tuple[Check, ...]:
    """What settling a drift asks for, whichever way and apart from a reason."""
    return (
        role_check(view, actor, Role.LEAD, target_of(view, pipeline), "settling drift"),
        Check(True, f"drift {drift.id} is open")
        if drift.state == "open"
        else Check(False, f"drift {drift.id} was settled already; look again", Conflict),
    )


def revert_checks(drift: Drift, receipt: Receipt | None, head: int | None) -> tuple[Check, ...]:
    """What reverting asks for besides: somewhere to go back to, and nothing written on top."""
    table = drift.table_name
    if receipt is None or drift.found is None:
        return (Check(False, f"{table} has no receipt to go back to; adopt the drift instead"),)
    back = Check(True, f"{table} has a receipt to go back to: snapshot {receipt.snapshot}")
    # Back already: a revert that was interrupted, which goes on.
    if head not in (drift.found, receipt.snapshot):
        return (back, Check(False, f"{table} was written again since; reconcile, then look again"))
    return (back, Check(True, f"nothing was written to {table} since"))


def settle_drift(
    ctx: Context,
    actor: Actor,
    drift_id: int,
    how: How,
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
        receipt = _newest_receipt(view, drift)
    if how == "revert" and drift.state == "open":
        refuse(revert_checks(drift, receipt, ctx.plane.table(drift.table_name, drift.environment).head))
        _revert(ctx, drift, receipt)
    command = {"drift": drift_id, "how": how, "reason": reason}
    with ctx.store.write(actor, "settle_drift", key=key, command=command) as unit:
        earlier = unit.earlier(Drift)
        if earlier is not None:
            return earlier
        refuse(adopt_checks(unit, actor, unit.runs.drift(drift_id), pipeline))
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


def _newest_receipt(view: View, drift: Drift) -> Receipt | None:
    receipts = view.runs.receipts_on(drift.table_name, drift.environment)
    return receipts[-1] if receipts else None


def _revert(ctx: Context, drift: Drift, receipt: Receipt | None) -> None:
    assert receipt is not None  # noqa: S101 (one of the checks)
    assert drift.found is not None  # noqa: S101 (one of the checks)
    move = Move(
        table=drift.table_name,
        ref=drift.ref,
        base=drift.found,
        candidate=receipt.snapshot,
        tag=f"drls-revert-{drift.id}",
    )
    if ctx.plane.move(move, drift.environment) is MoveResult.CONFLICT:
        raise Refused(f"{drift.table_name} was written again since; reconcile, then look again")
