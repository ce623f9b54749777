"""Tick: what time brings about. Expires, executes what is due, resumes; called by a sensor or a server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Ended, Promotion, State
from lifecycle.errors import Conflict
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.parts.candidate_tags import pin_candidates, unpin_candidates
from lifecycle.usecases.parts.counting import needs_recount, recount, with_approvals
from lifecycle.usecases.parts.deciding import policy_of
from lifecycle.usecases.parts.outbox import tell
from lifecycle.usecases.parts.rounds import Round, Trouble


class Ticked(Frozen):
    """The requests that a tick touched, and what failed for which of them."""

    executed: tuple[int, ...] = ()
    expired: tuple[int, ...] = ()
    troubles: tuple[Trouble, ...] = ()


def tick(ctx: Context, actor: Actor) -> Ticked:
    """Safe to call at any time, by several at once; each request is handled on its own.

    What needs the store alone comes first, so that a slow catalog delays none of it.
    """
    work = Round(ctx, actor, "requests")
    _recount(ctx, actor, work)
    with ctx.store.read() as view:
        now = view.now
        due = _unfinished(view)
    expired = [one.id for one in due if _is_over(one, now) and _expire(ctx, actor, one, work)]
    executed = [one.id for one in due if _is_to_execute(one, now) and _execute(ctx, actor, one, work)]
    with ctx.store.read() as view:
        over = view.promotions.over_but_pinned()
    for promotion in over:
        with work.item(_name(promotion), "unpinning its candidates", promotion.plan.pipeline):
            unpin_candidates(ctx, actor, promotion)
    for promotion in due:
        if promotion.state is State.REQUESTED and promotion.id not in expired:
            with work.item(_name(promotion), "pinning its candidates", promotion.plan.pipeline):
                pin_candidates(ctx, promotion)
    return Ticked(executed=tuple(executed), expired=tuple(expired), troubles=work.close())


def expire(ctx: Context, actor: Actor) -> tuple[int, ...]:
    """Ends the requests that nobody completed in time; `tick` does so too, and this needs no catalog."""
    work = Round(ctx, actor, "requests")
    with ctx.store.read() as view:
        over = [one for one in _unfinished(view) if _is_over(one, view.now)]
    return tuple(one.id for one in over if _expire(ctx, actor, one, work))


def remind(ctx: Context, actor: Actor) -> int:
    """Brings pending requests to mind as often as their policy says; how many messages."""
    work = Round(ctx, actor, "reminders")
    with ctx.store.read() as view:
        pending = view.promotions.list(states=[State.REQUESTED], limit=1000)
    told = 0
    for promotion in pending:
        with work.item(_name(promotion), "reminding of it", promotion.plan.pipeline):
            told += _remind(ctx, actor, promotion.id)
    work.close()
    return told


def _recount(ctx: Context, actor: Actor, work: Round) -> None:
    """Lets each request's state follow its approvals."""
    with ctx.store.read() as view:
        some = with_approvals(view)
    for promotion in some:
        with work.item(_name(promotion), "counting its approvals", promotion.plan.pipeline):
            with ctx.store.read() as view:
                if not needs_recount(view, view.promotions.get(promotion.id)):
                    continue
            with ctx.store.write(actor, "recount_approvals") as unit:
                recount(unit, unit.promotions.get(promotion.id))


def _remind(ctx: Context, actor: Actor, promotion_id: int) -> int:
    with ctx.store.read() as view:
        if _times(view, view.promotions.get(promotion_id)) is None:
            return 0
    with ctx.store.write(actor, "remind") as unit:
        promotion = unit.promotions.get(promotion_id)
        times = _times(unit, promotion)
        if times is None:
            return 0
        unit.settings.put(f"reminded:{promotion.id}", {"times": times})
        pipeline = unit.pipelines.get(promotion.pipeline_id).name
        tell(unit, "promotion.reminder", pipeline, promotion=promotion.id)
        unit.audit("promotion.reminded", f"promotion:{promotion.id}", times=times)
        return 1


def _times(view: View, promotion: Promotion) -> int | None:
    """How often it is to be brought to mind by now; None when that was done, or it waits no more."""
    every = policy_of(view, promotion).reminder
    if promotion.state is not State.REQUESTED or not every:
        return None
    last = view.settings.find(f"reminded:{promotion.id}")
    times = int((view.now - promotion.requested_at) / every)
    return times if times > (last.value["times"] if last else 0) else None


def _unfinished(view: View) -> Sequence[Promotion]:
    states = [State.REQUESTED, State.APPROVED, State.EXECUTING, State.FAILED]
    return view.promotions.list(states=states, limit=1000)


def _name(promotion: Promotion) -> str:
    return f"promotion:{promotion.id}"


def _is_over(promotion: Promotion, now: datetime) -> bool:
    return promotion.state.is_open and promotion.expires_at <= now and promotion.plan.kind == "promote"


def _is_to_execute(promotion: Promotion, now: datetime) -> bool:
    if promotion.state is State.REQUESTED or _is_over(promotion, now):
        return False
    lease = promotion.lease_until
    return promotion.state is not State.EXECUTING or lease is None or lease <= now


def _execute(ctx: Context, actor: Actor, promotion: Promotion, work: Round) -> bool:
    with work.item(_name(promotion), "executing it", promotion.plan.pipeline):
        try:
            after = execute_promotion(ctx, actor, promotion.id).promotion
        except Conflict:
            # Somebody else executes it, or the pipeline is locked by another: the next tick looks again.
            return False
        if after.state is State.FAILED:
            work.failed(_name(promotion), "executing it", after.outcome, pipeline=promotion.plan.pipeline)
        return after.state is State.DONE
    return False


def _expire(ctx: Context, actor: Actor, promotion: Promotion, work: Round) -> bool:
    with work.item(_name(promotion), "ending it", promotion.plan.pipeline):
        try:
            with ctx.store.write(actor, "expire_promotion") as unit:
                current = unit.promotions.get(promotion.id)
                outcome = f"nobody completed it by {current.expires_at:%Y-%m-%d %H:%M} UTC"
                unit.promotions.change(current, Ended(state=State.EXPIRED, outcome=outcome, at=unit.now))
                unit.audit("promotion.expired", f"promotion:{promotion.id}")
                name = unit.pipelines.get(promotion.pipeline_id).name
                tell(unit, "promotion.expired", name, promotion=promotion.id)
        except Conflict:
            return False
        return True
    return False
