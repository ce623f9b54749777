"""What waits for somebody: requests to decide, and releases that nobody independent has looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lifecycle.app.kit import links
from lifecycle.app.kit.paging import Paged, paged
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Promotion
from lifecycle.store.unit import View
from lifecycle.usecases.pending import pending_ids, review_ids

SIZE = 10  # the board below stays in sight


@dataclass(frozen=True, slots=True)
class WaitingRow:
    """A request; `by` is who asked, `until` when it expires (None: it is done and waits for a later review).

    `due`: until when that review was promised, by who broke the glass.
    """

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
    due: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Oldest first: what the visitor may decide, then what they may review; how many, and a page of them."""

    to_decide: int
    to_review: int
    oldest: str | None
    page: Paged[WaitingRow]


def waiting(view: View, actor: Actor, number: int, asked: Mapping[str, str]) -> Waiting:
    """What waits for the actor: the same queries as the badge and the list of unreviewed releases.

    `asked` is what the links to other pages also ask.
    """
    to_decide, to_review = pending_ids(view, actor), review_ids(view, actor)
    part = paged(to_decide + to_review, number, "/", asked, name="waiting", at="waiting", size=SIZE)
    found = view.promotions.some(part.items)
    rows = {one.id: one for one in found}
    names = {person.id: person.name for person in view.people.all()} if found else {}
    return Waiting(
        len(to_decide),
        len(to_review),
        links.request(to_decide[0]) if to_decide else None,
        part.of(_row(rows[one], names) for one in part.items),
    )


def _row(one: Promotion, names: Mapping[int, str]) -> WaitingRow:
    done = one.state.is_terminal
    return WaitingRow(
        url=links.request(one.id),
        pipeline=one.plan.pipeline,
        number=one.plan.version,
        source=one.plan.source,
        target=one.target,
        kind=one.plan.kind,
        by=names.get(one.requested_by or 0, "DRLS"),
        acted_for=names.get(one.acted_for or 0, ""),
        reason=one.reason,
        at=(one.finished_at or one.requested_at) if done else one.requested_at,
        until=None if done else one.expires_at,
        due=one.expires_at if done and one.plan.kind == "break-glass" else None,
    )
