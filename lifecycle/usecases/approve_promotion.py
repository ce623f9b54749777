"""Approve: one person says yes to one plan; when the quorum is met the promotion executes automatically (L8)."""

from __future__ import annotations

from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Answered, Promotion, State, Verdict
from lifecycle.errors import Conflict
from lifecycle.store.unit import Unit
from lifecycle.usecases.context import Context
from lifecycle.usecases.execute_promotion import Begun, answer, as_executor, begin, carry_on, go_on
from lifecycle.usecases.parts.counting import approve_if_met
from lifecycle.usecases.parts.deciding import check_fresh, check_waiting, record_decision, require_voice


def approve_promotion(
    ctx: Context,
    actor: Actor,
    promotion_id: int,
    plan_digest: str,
    *,
    reason: str = "",
    if_revision: int | None = None,
    key: str | None = None,
) -> Answered:
    """Records the approval of the plan with `plan_digest`; approving twice is approving once.

    A recorded approval is answered as one, whatever becomes of the execution: what is in its way is `waiting`.

    Raises Forbidden when it is not this person's to approve (L6), Conflict when the request is decided,
    over, or has another plan.
    """
    executing, acting = as_executor(ctx, actor)
    begun: Begun | None = None
    command = {"promotion": promotion_id, "plan": plan_digest, "reason": reason}
    with ctx.store.write(actor, "approve_promotion", key=key, command=command) as unit:
        promotion = unit.promotions.get(promotion_id)
        given = {(one.person, one.verdict) for one in unit.promotions.decisions(promotion_id)}
        if unit.earlier(Promotion) is None:
            if (actor.person, Verdict.APPROVE) not in given:
                check_fresh(promotion, plan_digest, if_revision)
                check_waiting(promotion, unit.now)
                record_decision(unit, promotion, Verdict.APPROVE, reason, plan_digest)
                promotion = approve_if_met(unit, promotion)
            elif promotion.state is State.REQUESTED:
                # Given before, and perhaps lapsed since: who may not give it now is refused with the reason.
                require_voice(unit, actor, promotion, Verdict.APPROVE)
                promotion = approve_if_met(unit, promotion)
            unit.remember(promotion)
        if promotion.state is State.APPROVED:
            with unit.acting(acting):
                begun = _begin(executing, unit, promotion_id)
    if begun is not None:
        taken = begun
        return answer(ctx, promotion, lambda: go_on(executing, acting, taken))
    if promotion.state is State.APPROVED:
        return carry_on(ctx, actor, promotion)
    return Answered.of(promotion)


def _begin(ctx: Context, unit: Unit, promotion_id: int) -> Begun | None:
    """The execution, begun in the approval's own transaction; None when something is in its way."""
    try:
        return begin(ctx, unit, promotion_id)
    except Conflict:
        # The approval is valid all the same; executing it on its own says what is in the way.
        return None
