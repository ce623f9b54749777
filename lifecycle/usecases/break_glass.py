"""Break glass: an unreviewed release in an emergency, code only, to be reviewed later (L7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lifecycle.domain.checklist import Check, refuse
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.plan import Carry, Plan
from lifecycle.domain.policy import PolicyRevision
from lifecycle.domain.promotion import Answered, Promotion, State
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Deployment, Pipeline, Version
from lifecycle.errors import Conflict, Forbidden, Invalid
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.execute_promotion import carry_on
from lifecycle.usecases.parts.access import human_check, require, role_check, target_of
from lifecycle.usecases.parts.activation import Ending, execution_check, superseding
from lifecycle.usecases.parts.one_writer import writer_check
from lifecycle.usecases.parts.outbox import tell


@dataclass(frozen=True, slots=True)
class Emergency:
    """What breaking the glass would do now. `replaces` is the version that is active there.

    `review_due` is None where no policy is in force; `role` is what one needs.
    """

    version: Version
    target: Environment
    checks: tuple[Check, ...]
    replaces: Version | None
    ending: Ending
    review_due: datetime | None
    role: Role


def plan_break_glass(ctx: Context, actor: Actor, name: str, number: int, target: Environment) -> Emergency:
    """What `break_glass` would do, and what it would refuse; changes nothing."""
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        version = view.pipelines.numbered(pipeline, number)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "looking behind the glass")
        policy = view.policies.in_force(target, pipeline.id)
        active = view.deployments.active(pipeline.id, target)
        return Emergency(
            version=version,
            target=target,
            checks=break_glass_checks(view, actor, pipeline, version, target),
            replaces=view.pipelines.version(active.version_id) if active else None,
            ending=superseding(view, active) if active else Ending(),
            review_due=view.now + policy.body.break_glass_review if policy and policy.body else None,
            role=_role(policy),
        )


def break_glass_checks(
    view: View, actor: Actor, pipeline: Pipeline, version: Version, target: Environment
) -> tuple[Check, ...]:
    """What breaking the glass asks for, apart from a reason. A freeze is no obstacle."""
    policy = view.policies.in_force(target, pipeline.id)
    active = view.deployments.active(pipeline.id, target)
    return (
        _policy_check(policy, target),
        *_person_checks(view, actor, pipeline, version, policy),
        execution_check(view, pipeline, target),
        _other_check(pipeline, version, target, active),
        writer_check(view, pipeline, version),
    )


def break_glass(
    ctx: Context,
    actor: Actor,
    name: str,
    number: int,
    target: Environment,
    *,
    reason: str,
    key: str | None = None,
) -> Answered:
    """Deploys at once, freezes or not. The release is labelled unreviewed for good.

    The policy says who may, and until when the review is due (`expires_at` of the answer).
    """
    if not reason.strip() or not target.governed:
        raise Invalid("breaking the glass needs a reason, and works only for UAT and production")
    command = {"name": name, "version": number, "target": target.value, "reason": reason}
    with ctx.store.write(actor, "break_glass", key=key, command=command) as unit:
        promotion = unit.earlier(Promotion)
        if promotion is None:
            pipeline = unit.pipelines.named(name)
            version = unit.pipelines.numbered(pipeline, number)
            refuse(break_glass_checks(unit, actor, pipeline, version, target))
            policy = unit.policies.in_force(target, pipeline.id)
            assert policy is not None  # noqa: S101 (one of the checks)
            assert policy.body is not None  # noqa: S101 (one of the checks)
            person = unit.people.get(actor.person or 0)
            active = unit.deployments.active(pipeline.id, target)
            plan = Plan(
                kind="break-glass",
                pipeline=name,
                version=number,
                spec_digest=version.digest,
                source=target,
                target=target,
                replaces=active and active.deployed_digest,
                carry=Carry.CODE,
                carry_reason="the version is deployed without approval; its data is not carried over",
                policy=policy.id,
            )
            promotion = unit.promotions.add(
                pipeline_id=pipeline.id,
                version_id=version.id,
                target=target.value,
                state=State.APPROVED.value,
                plan=plan.model_dump(mode="json"),
                plan_digest=plan.digest,
                policy_id=policy.id,
                requested_by=person.id,
                acted_for=None,
                reason=reason,
                refresh_of=None,
                expires_at=unit.now + policy.body.break_glass_review,
                approved_at=None,
            )
            unit.audit("glass.broken", f"promotion:{promotion.id}", pipeline=name, version=number, reason=reason)
            tell(unit, "glass.broken", name, promotion=promotion.id, reason=reason, by=person.name)
            unit.remember(promotion)
    return carry_on(ctx, actor, promotion)


def _policy_check(policy: PolicyRevision | None, target: Environment) -> Check:
    if policy is None or policy.body is None or policy.body.break_glass is None:
        return Check(
            False, f"{target.label}'s policy does not allow breaking the glass; request approval instead", Forbidden
        )
    return Check(True, f"{target.label}'s policy allows a {policy.body.break_glass.value} to break the glass")


def _person_checks(
    view: View, actor: Actor, pipeline: Pipeline, version: Version, policy: PolicyRevision | None
) -> tuple[Check, ...]:
    doing = "breaking the glass"
    allowed = role_check(view, actor, _role(policy), target_of(view, pipeline, version), doing)
    return (allowed, human_check(view, actor, doing)) if allowed.ok else (allowed,)


def _role(policy: PolicyRevision | None) -> Role:
    """Whatever a policy says, nobody below a Lead breaks the glass."""
    asked = policy.body.break_glass if policy and policy.body else None
    return asked if asked is not None and asked.includes(Role.LEAD) else Role.LEAD


def _other_check(pipeline: Pipeline, version: Version, target: Environment, active: Deployment | None) -> Check:
    named = f"{pipeline.name} v{version.number}"
    if active is not None and active.version_id == version.id:
        return Check(False, f"{named} is already active in {target.label}", Conflict)
    return Check(True, f"{named} is not yet active in {target.label}")
