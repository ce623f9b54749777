"""Keeping what is to be approved: a tag on each candidate as long as its request lives (L3)."""

from __future__ import annotations

from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Promotion
from lifecycle.usecases.context import Context


def pin_tag(promotion: Promotion) -> str:
    """The tag that keeps a request's candidates."""
    return f"drls-candidate-{promotion.id}"


def pin_candidates(ctx: Context, promotion: Promotion) -> None:
    """Safe to repeat; `tick` does so for open requests, should this have been interrupted."""
    if not promotion.pinned:
        return
    for table in promotion.plan.tables:
        if table.candidate is not None:
            ctx.plane.pin(table.table, promotion.plan.source, table.candidate, pin_tag(promotion))


def unpin_candidates(ctx: Context, actor: Actor, promotion: Promotion) -> None:
    """Takes the tags of a request that is over away; `tick` does so for those that were interrupted."""
    if not promotion.pinned:
        return
    for table in promotion.plan.tables:
        if table.candidate is not None:
            ctx.plane.unpin(table.table, promotion.plan.source, pin_tag(promotion))
    with ctx.store.write(actor, "unpin_candidates") as unit:
        if unit.promotions.note_unpinned(promotion.id):
            unit.audit("promotion.unpinned", f"promotion:{promotion.id}")
