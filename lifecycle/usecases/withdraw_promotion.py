"""Withdraw: who asked, or a LeadDataEngineer, takes a request back."""

from __future__ import annotations

from lifecycle.domain.people import Actor, Person, PersonKind
from lifecycle.domain.promotion import Ended, Promotion, State
from lifecycle.domain.roles import Role
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.candidate_tags import unpin_candidates
from lifecycle.usecases.parts.deciding import check_open
from lifecycle.usecases.parts.following import follow


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
        person = require_withdrawer(unit, actor, promotion)
        check_open(promotion, "withdrawn")
        why = f"{person.name}: {reason}" if reason else f"withdrawn by {person.name}"
        promotion = unit.promotions.change(promotion, Ended(state=State.WITHDRAWN, outcome=why, at=unit.now))
        unit.audit("promotion.withdrawn", f"promotion:{promotion_id}", reason=reason)
        unit.remember(promotion)
    follow(f"unpinning the candidates of request {promotion.id}", lambda: unpin_candidates(ctx, actor, promotion))
    return promotion


def require_withdrawer(view: View, actor: Actor, promotion: Promotion) -> Person:
    """Who acts, when the request is theirs to take back. Raises Forbidden."""
    pipeline = view.pipelines.get(promotion.pipeline_id)
    acting = {actor.person}
    if actor.person is not None and (person := view.people.get(actor.person)).kind is PersonKind.AGENT:
        acting.add(person.acts_for)
    own = not acting.isdisjoint({promotion.requested_by, promotion.acted_for} - {None})
    role = Role.DATA_ENGINEER if own else Role.LEAD
    return require(view, actor, role, target_of(view, pipeline), "withdrawing this request")
