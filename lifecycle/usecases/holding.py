"""Freeze and stop (L9): set and lifted by a LeadDataEngineer, with a reason."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.domain.checklist import Check, refuse
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor, Target
from lifecycle.domain.policy import Hold, HoldKind
from lifecycle.domain.promotion import Promotion, State
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Pipeline
from lifecycle.errors import Invalid
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, role_check, target_of
from lifecycle.usecases.parts.activation import Revocation, revocation, revoke
from lifecycle.usecases.parts.visible import visible_ids


@dataclass(frozen=True, slots=True)
class Holding:
    """What setting or lifting a freeze or stop would do now. `pipeline` None: of the whole environment.

    `same` are the living holds of this kind that cover it already, `waiting` the open requests that a freeze
    keeps from executing, `stopped` what a stop revokes. What the actor may not see of them is left out.
    """

    pipeline: Pipeline | None
    checks: tuple[Check, ...]
    same: tuple[Hold, ...]
    waiting: tuple[Promotion, ...]
    stopped: Revocation


def plan_hold(ctx: Context, actor: Actor, kind: HoldKind, environment: Environment, name: str | None) -> Holding:
    """What `set_hold` would do, and what it would refuse; changes nothing."""
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name) if name else None
        if pipeline is not None:
            require(view, actor, Role.VIEWER, target_of(view, pipeline), f"looking at a {kind.value}")
        covering = (None, pipeline.id) if pipeline else (None,)
        only = visible_ids(view, actor)
        waiting = view.promotions.list(
            states=[State.REQUESTED, State.APPROVED],
            target=environment,
            pipeline_id=pipeline.id if pipeline else None,
        )
        stopped = stopped_by(view, environment, pipeline) if kind is HoldKind.STOP else Revocation()
        return Holding(
            pipeline=pipeline,
            checks=hold_checks(view, actor, kind, pipeline),
            same=tuple(
                one for one in view.policies.holds(environment) if one.kind is kind and one.pipeline_id in covering
            ),
            waiting=tuple(one for one in waiting if only is None or one.pipeline_id in only),
            stopped=Revocation(
                tuple(one for one in stopped.runs if only is None or one.pipeline_id in only),
                tuple(one for one in stopped.permits if only is None or one.pipeline_id in only),
            ),
        )


def set_hold(
    ctx: Context,
    actor: Actor,
    kind: HoldKind,
    environment: Environment,
    name: str | None,
    *,
    reason: str,
    key: str | None = None,
) -> Hold:
    """Freezes or stops a pipeline, or (no name) the environment. A stop revokes runs and permits."""
    if not reason.strip():
        raise Invalid(f"a {kind.value} needs a reason: people see it until it is lifted")
    command = {"kind": kind.value, "environment": environment.value, "name": name, "reason": reason}
    with ctx.store.write(actor, "set_hold", key=key, command=command) as unit:
        earlier = unit.earlier(Hold)
        if earlier is not None:
            return earlier
        pipeline = unit.pipelines.named(name) if name else None
        refuse(hold_checks(unit, actor, kind, pipeline))
        hold = unit.policies.add_hold(kind, environment, pipeline.id if pipeline else None, reason, actor.person)
        if kind is HoldKind.STOP:
            revoke(unit, stopped_by(unit, environment, pipeline), f"stopped: {reason}")
        unit.audit(f"{kind.value}.set", f"environment:{environment.value}", pipeline=name, reason=reason)
        return unit.remember(hold)


def lift_hold(ctx: Context, actor: Actor, hold_id: int) -> Hold:
    """Ends a freeze or stop, once; revoked runs stay revoked."""
    with ctx.store.write(actor, "lift_hold") as unit:
        hold = unit.policies.hold(hold_id)
        pipeline = unit.pipelines.get(hold.pipeline_id) if hold.pipeline_id is not None else None
        refuse(hold_checks(unit, actor, hold.kind, pipeline))
        if hold.lifted_at is not None:
            return hold
        unit.policies.lift(hold, actor.person)
        unit.audit(f"{hold.kind.value}.lifted", f"environment:{hold.environment.value}", hold=hold.id)
        return unit.policies.hold(hold_id)


def hold_checks(view: View, actor: Actor, kind: HoldKind, pipeline: Pipeline | None) -> tuple[Check, ...]:
    """What setting or lifting a freeze or stop asks for; `pipeline` None: of a whole environment."""
    target = target_of(view, pipeline) if pipeline else Target()
    return (role_check(view, actor, Role.LEAD, target, f"a {kind.value}"),)


def freeze_check(view: View, environment: Environment, pipeline: Pipeline) -> Check:
    """Whether no freeze covers this pipeline there."""
    freeze = view.policies.holding(HoldKind.FREEZE, environment, pipeline.id)
    if freeze is not None:
        return Check(False, f"{environment.label} is frozen ({freeze.reason}); lift the freeze or break the glass")
    return Check(True, f"{environment.label} is not frozen for {pipeline.name}")


def stopped_by(view: View, environment: Environment, pipeline: Pipeline | None) -> Revocation:
    """What a stop revokes: every run and unused permit, of one pipeline or of the environment."""
    return revocation(view, pipeline.id if pipeline else None, environment, running=True)
