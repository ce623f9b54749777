"""What waits for somebody: requests to decide, and releases that nobody independent has looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lifecycle.app.pages import links
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Promotion
from lifecycle.store.unit import View
from lifecycle.usecases.pending import pending_for, reviews_for


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A request; `by` is who asked, `until` when it expires (None: it is done and waits for a later review)."""

    url: str
    pipeline: str
    number: int
    source: Environment
    target: Environment
    kind: str
    by: str
    acted_for: str
    reason: str
    at: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Oldest first; only what the visitor may decide, and what they may review afterwards."""

    to_decide: tuple[WaitingRow, ...]
    to_review: tuple[WaitingRow, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.to_decide or self.to_review)


def waiting(view: View, actor: Actor) -> Waiting:
    """What waits for the actor: the same queries as the badge and the list of unreviewed releases."""
    to_decide, to_review = pending_for(view, actor), reviews_for(view, actor)
    names = {person.id: person.name for person in view.people.all()} if to_decide or to_review else {}
    return Waiting(
        tuple(_row(one, names, until=one.expires_at) for one in to_decide),
        tuple(_row(one, names, until=None) for one in to_review),
    )


def _row(one: Promotion, names: Mapping[int, str], until: datetime | None) -> WaitingRow:
    return WaitingRow(
        url=links.approval(one.id),
        pipeline=one.plan.pipeline,
        number=one.plan.version,
        source=one.plan.source,
        target=one.target,
        kind=one.plan.kind,
        by=names.get(one.requested_by or 0, "DRLS"),
        acted_for=names.get(one.acted_for or 0, ""),
        reason=one.reason,
        at=(one.finished_at or one.requested_at) if until is None else one.requested_at,
        until=until,
    )
