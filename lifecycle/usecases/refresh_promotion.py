"""Refresh: a new request for the same, with a plan as of now; approvals are not carried over (L8)."""

from __future__ import annotations

from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Promotion, State
from lifecycle.errors import Conflict
from lifecycle.usecases.context import Context
from lifecycle.usecases.request_promotion import request_promotion


def refresh_promotion(ctx: Context, actor: Actor, promotion_id: int, *, key: str | None = None) -> Promotion:
    """The new request, linked to the old. Raises Conflict when the old one is executed or done."""
    with ctx.store.read() as view:
        old = view.promotions.get(promotion_id)
        name = view.pipelines.get(old.pipeline_id).name
        number = view.pipelines.version(old.version_id).number
    check_refreshable(old)
    return request_promotion(ctx, actor, name, number, old.target, reason=old.reason, refresh_of=promotion_id, key=key)


def check_refreshable(old: Promotion) -> None:
    """Raises Conflict when the request is executed, failed or done."""
    if old.state in (State.EXECUTING, State.DONE, State.FAILED):
        raise Conflict(f"request {old.id} is {old.state.value} and cannot be refreshed")
