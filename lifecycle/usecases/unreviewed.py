"""Unreviewed: releases that nobody independent has looked at yet (L7)."""

from __future__ import annotations

from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Promotion
from lifecycle.domain.version import Label
from lifecycle.store.unit import View
from lifecycle.usecases.visible import sees

REVIEWED = "release.reviewed"


def unreviewed_releases(view: View, actor: Actor) -> tuple[Promotion, ...]:
    """Releases labelled unreviewed that wait for a review, oldest first; what the actor may see of them.

    A rollback to one is not listed again: the review is of what was released.
    """
    asked = {one.promotion_id for one in view.deployments.labelled(Label.UNREVIEWED) if one.promotion_id is not None}
    releases = [view.promotions.get(promotion_id) for promotion_id in sorted(asked)]
    return tuple(
        release
        for release in releases
        if release.plan.kind != "rollback"
        and sees(view, actor, release.pipeline_id)
        and not view.log.search(subject=f"promotion:{release.id}", verb=REVIEWED, limit=1)
    )
