"""Tick: what time brings about. Executes what is due, resumes, expires; called by a sensor or a server."""

from __future__ import annotations

from datetime import datetime

from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Ended, Promotion, State
from lifecycle.errors import Conflict
from lifecycle.usecases.context import Context
from lifecycle.usecases.deciding import policy_of
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.pinning import pin_candidates, unpin_candidates
from lifecycle.usecases.telling import tell


class Ticked(Frozen):
    """The requests that a tick touched."""

    executed: tuple[int, ...] = ()
    expired: tuple[int, ...] = ()


def tick(ctx: Context, actor: Actor) -> Ticked:
    """Safe to call at any time, by several at once; each request is handled on its own."""
    with ctx.store.read() as view:
        due = view.promotions.list(states=[State.REQUESTED, State.APPROVED, State.EXECUTING, State.FAILED], limit=1000)
        over = view.promotions.over_but_pinned()
        now = view.now
    for promotion in over:
        unpin_candidates(ctx, actor, promotion)
    executed: list[int] = []
    expired: list[int] = []
    for promotion in due:
        is_over = promotion.expires_at <= now and promotion.plan.kind == "promote"
        if promotion.state.is_open and is_over:
            if _expire(ctx, actor, promotion):
                expired.append(promotion.id)
        elif promotion.state is State.REQUESTED:
            pin_candidates(ctx, promotion)
        elif _leased(promotion, now):
            continue
        elif _execute(ctx, actor, promotion):
            executed.append(promotion.id)
    return Ticked(executed=tuple(executed), expired=tuple(expired))


def remind(ctx: Context, actor: Actor) -> int:
    """Brings pending requests to mind as often as their policy says; how many messages."""
    told = 0
    with ctx.store.write(actor, "remind") as unit:
        for promotion in unit.promotions.list(states=[State.REQUESTED], limit=1000):
            every = policy_of(unit, promotion).reminder
            name = f"reminded:{promotion.id}"
            last = unit.settings.find(name)
            times = int((unit.now - promotion.requested_at) / every) if every else 0
            if times > (last.value["times"] if last else 0):
                unit.settings.put(name, {"times": times})
                pipeline = unit.pipelines.get(promotion.pipeline_id).name
                tell(unit, "promotion.reminder", pipeline, promotion=promotion.id)
                unit.audit("promotion.reminded", f"promotion:{promotion.id}", times=times)
                told += 1
    return told


def _leased(promotion: Promotion, now: datetime) -> bool:
    lease = promotion.lease_until
    return promotion.state is State.EXECUTING and lease is not None and lease > now


def _execute(ctx: Context, actor: Actor, promotion: Promotion) -> bool:
    try:
        return execute_promotion(ctx, actor, promotion.id).promotion.state is State.DONE
    except Conflict:
        # Somebody else executes it, or the pipeline is locked by another: the next tick looks again.
        return False


def _expire(ctx: Context, actor: Actor, promotion: Promotion) -> bool:
    try:
        with ctx.store.write(actor, "expire_promotion") as unit:
            current = unit.promotions.get(promotion.id)
            outcome = f"nobody completed it until {current.expires_at:%Y-%m-%d %H:%M} UTC"
            unit.promotions.change(current, Ended(state=State.EXPIRED, outcome=outcome, at=unit.now))
            unit.audit("promotion.expired", f"promotion:{promotion.id}")
            name = unit.pipelines.get(promotion.pipeline_id).name
            tell(unit, "promotion.expired", name, promotion=promotion.id)
    except Conflict:
        return False
    unpin_candidates(ctx, actor, promotion)
    return True
