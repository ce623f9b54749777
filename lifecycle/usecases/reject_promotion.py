"""Reject: one denial blocks, also when others approved, as long as nothing was executed."""

from __future__ import annotations

from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Ended, Promotion, State, Verdict
from lifecycle.errors import Invalid
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.candidate_tags import unpin_candidates
from lifecycle.usecases.parts.deciding import check_fresh, check_open, record_decision
from lifecycle.usecases.parts.following import follow
from lifecycle.usecases.parts.outbox import tell


def reject_promotion(
    ctx: Context,
    actor: Actor,
    promotion_id: int,
    plan_digest: str,
    *,
    reason: str,
    if_revision: int | None = None,
    key: str | None = None,
) -> Promotion:
    """Ends the request with the reason. Raises Conflict when it is executed or over."""
    if not reason.strip():
        raise Invalid("a rejection needs a reason: say what would have to change")
    command = {"promotion": promotion_id, "plan": plan_digest, "reason": reason}
    with ctx.store.write(actor, "reject_promotion", key=key, command=command) as unit:
        earlier = unit.earlier(Promotion)
        if earlier is not None:
            return earlier
        promotion = unit.promotions.get(promotion_id)
        check_fresh(promotion, plan_digest, if_revision)
        check_open(promotion, "rejected")
        person, _ = record_decision(unit, promotion, Verdict.REJECT, reason, plan_digest)
        ended = Ended(state=State.REJECTED, outcome=f"{person.name}: {reason}", at=unit.now)
        promotion = unit.promotions.change(promotion, ended)
        unit.audit("promotion.rejected", f"promotion:{promotion_id}", reason=reason)
        name = unit.pipelines.get(promotion.pipeline_id).name
        tell(unit, "promotion.rejected", name, promotion=promotion_id, reason=reason)
        unit.remember(promotion)
    follow(f"unpinning the candidates of request {promotion.id}", lambda: unpin_candidates(ctx, actor, promotion))
    return promotion
