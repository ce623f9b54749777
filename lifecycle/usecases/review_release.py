"""Review: somebody independent reviews an unreviewed release later (L7). The label stays."""

from __future__ import annotations

from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Promotion, State, Verdict
from lifecycle.errors import Conflict, Forbidden, Invalid
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.deciding import check_fresh, record_decision, require_voice
from lifecycle.usecases.unreviewed import REVIEWED


def review_release(
    ctx: Context,
    actor: Actor,
    promotion_id: int,
    plan_digest: str,
    verdict: Verdict,
    *,
    reason: str,
    key: str | None = None,
) -> Promotion:
    """Records the verdict on a release that is done. Own work cannot be reviewed."""
    if not reason.strip():
        raise Invalid("a review needs a reason for others to read")
    command = {"promotion": promotion_id, "plan": plan_digest, "verdict": verdict.value, "reason": reason}
    with ctx.store.write(actor, "review_release", key=key, command=command) as unit:
        earlier = unit.earlier(Promotion)
        if earlier is not None:
            return earlier
        promotion = unit.promotions.get(promotion_id)
        check_fresh(promotion, plan_digest, None)
        require_reviewer(unit, actor, promotion, verdict)
        record_decision(unit, promotion, verdict, reason, plan_digest)
        unit.audit(REVIEWED, f"promotion:{promotion_id}", verdict=verdict.value, reason=reason)
        return unit.remember(promotion)


def require_reviewer(view: View, actor: Actor, promotion: Promotion, verdict: Verdict) -> None:
    """Raises Conflict or Forbidden when a review is not due, or not this person's to give."""
    if promotion.state is not State.DONE or promotion.plan.kind == "rollback":
        raise Conflict(f"request {promotion.id} is {promotion.state.value}; reviews are for finished releases")
    if any(one.person == actor.person for one in view.promotions.decisions(promotion.id)):
        raise Conflict(f"{actor.name} has already decided on request {promotion.id}")
    if require_voice(view, actor, promotion, verdict).own_work:
        raise Forbidden(f"{actor.name} contributed to release {promotion.id} and cannot review it")
