"""Unreviewed: releases that nobody independent has looked at yet (L7)."""

from __future__ import annotations

from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Promotion, Waits
from lifecycle.store.unit import View
from lifecycle.usecases.parts.visible import visible_ids

REVIEWED = "release.reviewed"


def unreviewed_releases(view: View, actor: Actor) -> tuple[Promotion, ...]:
    """Releases labelled unreviewed that wait for a review, oldest first; what the actor may see of them.

    A rollback to one is not listed again: the review is of what was released.
    """
    return view.promotions.some(one.id for one in unreviewed(view, actor))


def unreviewed(view: View, actor: Actor) -> tuple[Waits, ...]:
    """The same, without more than lists need to choose from them."""
    every = view.lists.unreviewed()
    if not every:
        return ()
    seen = visible_ids(view, actor)
    reviewed = view.log.subjects(REVIEWED)
    return tuple(
        one for one in every if (seen is None or one.pipeline_id in seen) and f"promotion:{one.id}" not in reviewed
    )
