"""Break glass: an unreviewed release in an emergency, code only, to be reviewed later (L7)."""

from __future__ import annotations

from lifecycle.domain.environment import Environment, Role
from lifecycle.domain.people import Actor
from lifecycle.domain.plan import Carry, Plan
from lifecycle.domain.promotion import Promotion, State
from lifecycle.errors import Conflict, Forbidden, Invalid
from lifecycle.usecases.access import require, require_human, target_of
from lifecycle.usecases.context import Context
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.one_writer import require_one_writer
from lifecycle.usecases.switch import require_no_execution
from lifecycle.usecases.telling import tell


def break_glass(
    ctx: Context,
    actor: Actor,
    name: str,
    number: int,
    target: Environment,
    *,
    reason: str,
    key: str | None = None,
) -> Promotion:
    """Deploys at once, freezes or not. The release is labelled unreviewed for good.

    The policy says who may, and until when the review is due (`expires_at` of the answer).
    """
    if not reason.strip() or not target.governed:
        raise Invalid("breaking the glass needs a reason, and is for uat and production alone")
    command = {"name": name, "version": number, "target": target.value, "reason": reason}
    with ctx.store.write(actor, "break_glass", key=key, command=command) as unit:
        promotion = unit.earlier(Promotion)
        if promotion is None:
            pipeline = unit.pipelines.named(name)
            version = unit.pipelines.numbered(pipeline, number)
            policy = unit.policies.in_force(target, pipeline.id)
            if policy is None or policy.body is None or policy.body.break_glass is None:
                raise Forbidden(f"no policy of {target.value} allows breaking the glass; ask for an approval")
            scope = target_of(unit, pipeline, version)
            person = require(unit, actor, policy.body.break_glass, scope, "breaking the glass")
            require(unit, actor, Role.LEAD, scope, "breaking the glass")
            require_human(person, "breaking the glass")
            require_no_execution(unit, pipeline, target)
            active = unit.deployments.active(pipeline.id, target)
            if active is not None and active.version_id == version.id:
                raise Conflict(f"{name} v{number} is active in {target.value} already")
            require_one_writer(unit, pipeline, version)
            plan = Plan(
                kind="break-glass",
                pipeline=name,
                version=number,
                spec_digest=version.digest,
                source=target,
                target=target,
                replaces=active and active.deployed_digest,
                carry=Carry.CODE,
                carry_reason="without approval the version is deployed, its data is not carried",
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
    return execute_promotion(ctx, actor, promotion.id).promotion
