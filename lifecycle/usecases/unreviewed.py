"""Unreviewed: releases that nobody independent has looked at yet (L7)."""

from __future__ import annotations

from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Outline, Promotion
from lifecycle.store.unit import View
from lifecycle.usecases.visible import visible_ids

REVIEWED = "release.reviewed"


def unreviewed_releases(view: View, actor: Actor) -> tuple[Promotion, ...]:
    """Releases labelled unreviewed that wait for a review, oldest first; what the actor may see of them.

    A rollback to one is not listed again: the review is of what was released.
    """
    return view.promotions.some(one.id for one in unreviewed_outlines(view, actor))


def unreviewed_outlines(view: View, actor: Actor) -> tuple[Outline, ...]:
    """The same as lists show them."""
    every = view.promotions.unreviewed()
    if not every:
        return ()
    seen = visible_ids(view, actor)
    reviewed = view.log.subjects(REVIEWED)
    return tuple(
        one
        for one in reversed(every)
        if one.kind != "rollback"
        and (seen is None or one.pipeline_id in seen)
        and f"promotion:{one.id}" not in reviewed
    )
