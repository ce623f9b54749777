"""Withdraw: who asked, or a LeadDataEngineer, takes a request back."""

from __future__ import annotations

from lifecycle.domain.environment import Role
from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Ended, Promotion, State
from lifecycle.errors import Conflict
from lifecycle.usecases.access import require, target_of
from lifecycle.usecases.context import Context
from lifecycle.usecases.pinning import unpin_candidates


def withdraw_promotion(
    ctx: Context, actor: Actor, promotion_id: int, *, reason: str = "", key: str | None = None
) -> Promotion:
    """Ends an open request. Raises Conflict when it is executed or over."""
    command = {"promotion": promotion_id, "reason": reason}
    with ctx.store.write(actor, "withdraw_promotion", key=key, command=command) as unit:
        earlier = unit.earlier(Promotion)
        if earlier is not None:
            return earlier
        promotion = unit.promotions.get(promotion_id)
        pipeline = unit.pipelines.get(promotion.pipeline_id)
        own = actor.person is not None and actor.person in (promotion.requested_by, promotion.acted_for)
        role = Role.DATA_ENGINEER if own else Role.LEAD
        person = require(unit, actor, role, target_of(unit, pipeline), "withdrawing this request")
        if not promotion.state.is_open:
            raise Conflict(f"request {promotion_id} is {promotion.state.value} and cannot be withdrawn any more")
        why = f"{person.name}: {reason}" if reason else f"withdrawn by {person.name}"
        promotion = unit.promotions.change(promotion, Ended(state=State.WITHDRAWN, outcome=why, at=unit.now))
        unit.audit("promotion.withdrawn", f"promotion:{promotion_id}", reason=reason)
        unit.remember(promotion)
    unpin_candidates(ctx, actor, promotion)
    return promotion
