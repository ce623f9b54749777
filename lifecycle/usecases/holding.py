"""Freeze and stop (L9): set and lifted by a LeadDataEngineer, with a reason."""

from __future__ import annotations

from lifecycle.domain.environment import Environment, Role
from lifecycle.domain.people import Actor, Target
from lifecycle.domain.policy import Hold, HoldKind
from lifecycle.domain.version import Pipeline
from lifecycle.errors import Invalid, Refused
from lifecycle.store.unit import Unit
from lifecycle.usecases.access import require, target_of
from lifecycle.usecases.context import Context
from lifecycle.usecases.switch import revoke_runs


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
        raise Invalid(f"a {kind.value} needs a reason: it is what people see while it holds")
    command = {"kind": kind.value, "environment": environment.value, "name": name, "reason": reason}
    with ctx.store.write(actor, "set_hold", key=key, command=command) as unit:
        earlier = unit.earlier(Hold)
        if earlier is not None:
            return earlier
        pipeline = unit.pipelines.named(name) if name else None
        target = target_of(unit, pipeline) if pipeline else Target()
        require(unit, actor, Role.LEAD, target, f"a {kind.value}")
        hold = unit.policies.add_hold(kind, environment, pipeline.id if pipeline else None, reason, actor.person)
        if kind is HoldKind.STOP:
            for pipeline_id in _covered(unit, environment, pipeline):
                revoke_runs(unit, pipeline_id, environment, f"stopped: {reason}", running=True)
        unit.audit(f"{kind.value}.set", f"environment:{environment.value}", pipeline=name, reason=reason)
        return unit.remember(hold)


def lift_hold(ctx: Context, actor: Actor, hold_id: int) -> Hold:
    """Ends a freeze or stop, once; revoked runs stay revoked."""
    with ctx.store.write(actor, "lift_hold") as unit:
        hold = unit.policies.hold(hold_id)
        pipeline = unit.pipelines.get(hold.pipeline_id) if hold.pipeline_id is not None else None
        require(
            unit,
            actor,
            Role.LEAD,
            target_of(unit, pipeline) if pipeline else Target(),
            f"a {hold.kind.value}",
        )
        if hold.lifted_at is not None:
            return hold
        unit.policies.lift(hold, actor.person)
        unit.audit(f"{hold.kind.value}.lifted", f"environment:{hold.environment.value}", hold=hold.id)
        return unit.policies.hold(hold_id)


def refuse_when_frozen(unit: Unit, environment: Environment, pipeline: Pipeline) -> None:
    """Raises Refused while a freeze covers this pipeline there."""
    freeze = unit.policies.holding(HoldKind.FREEZE, environment, pipeline.id)
    if freeze is not None:
        raise Refused(f"{environment.value} is frozen ({freeze.reason}); lift the freeze or break the glass")


def _covered(unit: Unit, environment: Environment, pipeline: Pipeline | None) -> list[int]:
    if pipeline is not None:
        return [pipeline.id]
    live = (
        *unit.runs.live_admissions(environment=environment),
        *unit.runs.live_permits(environment=environment),
    )
    return sorted({one.pipeline_id for one in live})
