"""Adopt or revert drift: a LeadDataEngineer takes a foreign write over, or undoes it (L15)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lifecycle.domain.checklist import Check, refuse
from lifecycle.domain.facts import SnapshotFacts
from lifecycle.domain.people import Actor
from lifecycle.domain.roles import Role
from lifecycle.domain.run import Drift
from lifecycle.domain.version import Pipeline
from lifecycle.errors import Conflict, Invalid
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, role_check, target_of
from lifecycle.usecases.parts.expected_head import Expected, expected_head
from lifecycle.usecases.parts.revert_drift import Command, chain_of, is_below, lease_check, revert, revert_checks

How = Literal["adopt", "revert"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What adopting or reverting a drift would do now, and what each would refuse.

    `expected` was published or adopted last: what a revert goes back to. `head` is where the ref is, `foreign` what
    was written since then, newest first; `is_older`: nothing, the ref was moved back.
    """

    drift: Drift
    pipeline: Pipeline
    expected: Expected | None
    head: int | None
    foreign: tuple[SnapshotFacts, ...]
    adopt: tuple[Check, ...]
    revert: tuple[Check, ...]
    is_older: bool = False


def plan_settlement(ctx: Context, actor: Actor, drift_id: int) -> Settlement:
    """What `settle_drift` would do; changes nothing."""
    with ctx.store.read() as view:
        drift = view.runs.drift(drift_id)
        pipeline = view.pipelines.get(drift.pipeline_id)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "looking at drift")
        adopt = settle_checks(ctx, view, actor, drift, pipeline, "adopt")
        may_revert = settle_checks(ctx, view, actor, drift, pipeline, "revert")
        expected = expected_head(view, drift.table_name, drift.environment)
    table, environment = drift.table_name, drift.environment
    head = ctx.plane.table(table, environment).head
    chain = chain_of(ctx.plane, drift, expected)
    before = chain[1:]
    foreign: tuple[SnapshotFacts, ...] = ()
    is_older = drift.found in before and not is_below(drift, expected, chain)
    if drift.found not in before:
        since = ctx.plane.snapshots(table, environment, drift.found, expected.snapshot if expected else None)
        foreign = tuple(one for one in since if one.id not in before)
    back = revert_checks(drift, expected, head, chain) if drift.state == "open" else ()
    return Settlement(drift, pipeline, expected, head, foreign, adopt, (*may_revert, *back), is_older)


def settle_checks(
    ctx: Context, view: View, actor: Actor, drift: Drift, pipeline: Pipeline, how: How
) -> tuple[Check, ...]:
    """What settling a drift asks for, apart from a reason. A revert that has begun can only be resumed."""
    if drift.is_settled:
        state = Check(False, f"drift {drift.id} has already been settled; reload the page", Conflict)
    elif drift.state == "open":
        state = Check(True, f"drift {drift.id} is open")
    elif how == "adopt":
        waits = f": {drift.outcome}" if drift.outcome else ""
        state = Check(False, f"drift {drift.id} is being reverted{waits}; try again when that has finished", Conflict)
    else:
        state = lease_check(ctx, drift)
    return (role_check(view, actor, Role.LEAD, target_of(view, pipeline), "settling drift"), state)


def settle_drift(
    ctx: Context,
    actor: Actor,
    drift_id: int,
    how: How,
    *,
    reason: str,
    key: str | None = None,
) -> Drift:
    """`adopt`: the head counts as explained from now on. `revert`: back to what was published or adopted last.

    A revert that the catalog does not let end now is answered as `reverting`: `outcome` says what it waits for, and
    `reconcile` resumes it.
    """
    if not reason.strip():
        raise Invalid("adopting or reverting drift needs a reason")
    command = {"drift": drift_id, "how": how, "reason": reason}
    if how == "revert":
        with ctx.store.read() as view:
            earlier = view.answered(actor, "settle_drift", key, command, Drift)
            if earlier is not None:
                return earlier
            drift = view.runs.drift(drift_id)
            refuse(settle_checks(ctx, view, actor, drift, view.pipelines.get(drift.pipeline_id), how))
            expected = expected_head(view, drift.table_name, drift.environment)
        return revert(ctx, actor, drift, expected, Command(command, reason, key))
    with ctx.store.write(actor, "settle_drift", key=key, command=command) as unit:
        earlier = unit.earlier(Drift)
        if earlier is not None:
            return earlier
        drift = unit.runs.drift(drift_id)
        pipeline = unit.pipelines.get(drift.pipeline_id)
        refuse(settle_checks(ctx, unit, actor, drift, pipeline, how))
        unit.runs.close_drift(drift, "adopted", reason, actor.person)
        unit.audit(
            "drift.adopted",
            f"pipeline:{pipeline.name}",
            drift=drift.id,
            table=drift.table_name,
            reason=reason,
        )
        return unit.remember(unit.runs.drift(drift_id))
