"""Roll back: production's previous release again; code alone, or with its data (L1, L13)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from lifecycle.domain.checklist import Check, refuse
from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.plan import Carry, Plan
from lifecycle.domain.promotion import Answered, Promotion, State
from lifecycle.domain.releases import previous_release
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Deployment, Pipeline, Version
from lifecycle.errors import Conflict, Invalid, Refused
from lifecycle.ports import DataPlane
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.execute_promotion import carry_on
from lifecycle.usecases.holding import freeze_check
from lifecycle.usecases.parts.access import require, role_check, target_of
from lifecycle.usecases.parts.activation import Ending, execution_check, superseding
from lifecycle.usecases.parts.data_back import UndonePublish, Written, snapshot_checks, tables_back, written_since
from lifecycle.usecases.parts.one_writer import writer_check
from lifecycle.usecases.retire_version import consumers

_TIME_TO_EXECUTE = timedelta(hours=1)


class RollbackPlan(Frozen):
    """What would happen. Consent to data going away is given by naming `plan.digest`."""

    plan: Plan
    undone: tuple[UndonePublish, ...] = ()
    consumers: tuple[str, ...] = ()


def plan_rollback(ctx: Context, actor: Actor, name: str, *, data: bool = False) -> RollbackPlan:
    """What a rollback of production would do now; changes nothing."""
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "planning a rollback")
        back = _back(view, pipeline, data=data)
        writer = writer_check(view, pipeline, back.version)
    plan = _plan(ctx.plane, back)
    refuse([writer, *snapshot_checks(ctx.plane, plan.plan.tables)])
    return plan


@dataclass(frozen=True, slots=True)
class Rollback:
    """A rollback with everything that goes with it. `plan` is None where there is nothing to go back to.

    `leaves` is the release that production would leave, `returns` the one that it would go back to.
    """

    checks: tuple[Check, ...]
    plan: RollbackPlan | None
    leaves: Deployment | None
    returns: Deployment | None
    ending: Ending


def preview_rollback(ctx: Context, actor: Actor, name: str, *, data: bool = False) -> Rollback:
    """What `rollback_release` would do, and what it would refuse; changes nothing."""
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "planning a rollback")
        leaves = view.deployments.active(pipeline.id, Environment.PRODUCTION)
        returns = previous_release(view.deployments.history(pipeline.id, Environment.PRODUCTION))
        back = _back(view, pipeline, data=data) if returns else None
        checks = rollback_checks(view, actor, pipeline)
        ends = superseding(view, leaves) if leaves and returns else Ending()
    plan = _plan(ctx.plane, back) if back else None
    return Rollback(
        checks=(*checks, *(snapshot_checks(ctx.plane, plan.plan.tables) if plan else ())),
        plan=plan,
        leaves=leaves,
        returns=returns,
        ending=ends,
    )


def rollback_checks(view: View, actor: Actor, pipeline: Pipeline) -> tuple[Check, ...]:
    """What rolling production back asks for, apart from a reason and (of data) consent to its plan."""
    previous = previous_release(view.deployments.history(pipeline.id, Environment.PRODUCTION))
    return (
        role_check(view, actor, Role.LEAD, target_of(view, pipeline), "rolling back production"),
        freeze_check(view, Environment.PRODUCTION, pipeline),
        execution_check(view, pipeline, Environment.PRODUCTION),
        Check(True, f"{pipeline.name} has an earlier release in production")
        if previous
        else Check(False, f"{pipeline.name} has no earlier release in production to go back to"),
        *([writer_check(view, pipeline, view.pipelines.version(previous.version_id))] if previous else ()),
    )


def rollback_release(
    ctx: Context,
    actor: Actor,
    name: str,
    *,
    reason: str,
    data: bool = False,
    consent: str | None = None,
    key: str | None = None,
) -> Answered:
    """Executes at once, through the same journal as a promotion.

    With `data`, every table goes back to where it was when the release was replaced, and `consent` must be
    the digest of the plan that `plan_rollback` showed.
    """
    if not reason.strip():
        raise Invalid("a rollback needs a reason: say what is wrong in production")
    command = {"name": name, "reason": reason, "data": data, "consent": consent}
    with ctx.store.read() as view:
        known = view.answered(actor, "rollback_release", key, command, Promotion)
    if known is not None:
        return carry_on(ctx, actor, known)
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        refuse(rollback_checks(view, actor, pipeline))
        back = _back(view, pipeline, data=data)
    rollback, version = _plan(ctx.plane, back), back.version
    refuse(snapshot_checks(ctx.plane, rollback.plan.tables))
    if data and consent != rollback.plan.digest:
        raise Conflict(
            f"rolling back data undoes {len(rollback.undone)} publishes; review the plan and consent to "
            f"{rollback.plan.digest}"
        )
    with ctx.store.write(actor, "rollback_release", key=key, command=command) as unit:
        promotion = unit.earlier(Promotion)
        if promotion is None:
            refuse(rollback_checks(unit, actor, pipeline))
            if _back(unit, pipeline, data=data) != back:
                raise Conflict(
                    f"{name} was released, or published in production, in the meantime; review the plan again"
                )
            person = unit.people.get(actor.person or 0)
            promotion = unit.promotions.add(
                pipeline_id=pipeline.id,
                version_id=version.id,
                target=Environment.PRODUCTION.value,
                state=State.APPROVED.value,
                plan=rollback.plan.model_dump(mode="json"),
                plan_digest=rollback.plan.digest,
                policy_id=None,
                requested_by=person.id,
                acted_for=person.acts_for,
                reason=reason,
                refresh_of=None,
                expires_at=unit.now + _TIME_TO_EXECUTE,
                approved_at=unit.now,
            )
            unit.audit(
                "rollback.requested",
                f"promotion:{promotion.id}",
                pipeline=name,
                version=version.number,
                reason=reason,
                undone=[one.model_dump(mode="json") for one in rollback.undone],
            )
            unit.remember(promotion)
    return carry_on(ctx, actor, promotion)


@dataclass(frozen=True, slots=True)
class _Back:
    """Everything that the store knows of a rollback: with it, and what the catalog says, the plan is certain."""

    pipeline: str
    active: Deployment
    version: Version
    data: bool
    written: Written
    readers: tuple[str, ...]


def _back(view: View, pipeline: Pipeline, *, data: bool) -> _Back:
    history = view.deployments.history(pipeline.id, Environment.PRODUCTION)
    previous = previous_release(history)
    if previous is None:
        raise Refused(f"{pipeline.name} has no earlier release in production to go back to")
    active = history[-1]
    return _Back(
        pipeline=pipeline.name,
        active=active,
        version=view.pipelines.version(previous.version_id),
        data=data,
        written=written_since(view, history[history.index(previous) :]) if data else (),
        readers=consumers(view, pipeline, view.pipelines.version(active.version_id)) if data else (),
    )


def _plan(plane: DataPlane, back: _Back) -> RollbackPlan:
    tables, undone = tables_back(plane, back.written)
    plan = Plan(
        kind="rollback",
        pipeline=back.pipeline,
        version=back.version.number,
        spec_digest=back.version.digest,
        source=Environment.PRODUCTION,
        target=Environment.PRODUCTION,
        replaces=back.active.deployed_digest,
        carry=Carry.SNAPSHOT if back.data else Carry.CODE,
        carry_reason="code and data go back" if back.data else "code only: what was published stays",
        tables=tables,
    )
    return RollbackPlan(plan=plan, undone=undone, consumers=back.readers)
