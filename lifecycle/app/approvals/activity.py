"""What happened with a request, oldest first: what the audit log says of it, and what people said in between."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from lifecycle.app.kit.markdown import to_html
from lifecycle.audit.chain import Entry
from lifecycle.domain.promotion import Promotion
from lifecycle.store.unit import View

SHOWN = 50
_MOST = 500
# What a comment itself, or the line next to it, says.
_SILENT = {"promotion.commented"}
_WORDS = {
    "promotion.requested": ("pending", "requested this promotion"),
    "promotion.approved_by": ("approved", "approved"),
    "promotion.approved": ("approved", "completed the quorum"),
    "promotion.lapsed": ("stale", "reopened the request"),
    "promotion.rejected_by": ("rejected", "rejected"),
    "promotion.rejected": ("rejected", "ended the request: rejected"),
    "promotion.withdrawn": ("draft", "withdrew the request"),
    "promotion.expired": ("draft", "ended the request: it expired"),
    "promotion.executing": ("running", "started executing it"),
    "promotion.waiting": ("pending", "waits"),
    "promotion.journal": ("running", "moved refs"),
    "promotion.stale": ("stale", "ended the request: it was stale"),
    "promotion.failed": ("rejected", "could not continue"),
    "promotion.done": ("active", "finished the promotion"),
    "promotion.reminded": ("pending", "reminded the approvers"),
    "promotion.unpinned": ("draft", "removed the candidates’ tags"),
    "glass.broken": ("stale", "broke the glass"),
    "release.reviewed": ("approved", "reviewed the release"),
}
_JOURNAL = {"intended": "is about to move", "moved": "moved", "undone": "moved back"}


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened: `comment` is HTML of a person's Markdown, None for an entry of the audit log."""

    at: datetime
    who: str
    way_in: str
    look: str
    text: str
    detail: str
    comment: Markup | None = None
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """The newest lines, oldest of them first, and how many older ones there are."""

    lines: tuple[Line, ...]
    older: int


def activity(view: View, promotion: Promotion, *, all_of_it: bool = False) -> Activity:
    """The history of a request with its comments in between."""
    entries = view.log.search(subject=f"promotion:{promotion.id}", limit=_MOST)
    comments = view.promotions.comments(promotion.id)
    shown = [one for one in entries if one.verb not in _SILENT]
    order = [(one.at, 0, one.sequence) for one in shown] + [(one.at, 1, one.id) for one in comments]
    newest = sorted(order) if all_of_it else sorted(order)[-SHOWN:]
    by_sequence = {one.sequence: one for one in shown}
    by_id = {one.id: one for one in comments}
    lines: list[Line] = []
    for _, kind, number in newest:
        if kind == 0:
            lines.append(_event(by_sequence[number]))
        else:
            one = by_id[number]
            name = view.people.get(one.person).name
            lines.append(Line(one.at, name, "", "", "commented", "", to_html(one.body)))
    return Activity(tuple(lines), len(order) - len(newest))


def _event(entry: Entry) -> Line:
    look, text = _WORDS.get(entry.verb, ("draft", entry.verb.replace(".", " ").replace("_", " ")))
    if entry.verb == "promotion.journal":
        text = _JOURNAL.get(str(entry.body.get("state")), text)
    return Line(
        at=entry.at,
        who=str(entry.actor.get("name", "the system")),
        way_in=str(entry.actor.get("way_in", "")),
        look=look,
        text=text,
        detail=_detail(entry.body),
        sequence=entry.sequence,
    )


def _detail(body: dict[str, Any]) -> str:
    reason = body.get("reason")
    parts = [", ".join(map(str, body["tables"]))] if isinstance(body.get("tables"), list) else []
    if "verdict" in body:
        parts.append(f"verdict: {body['verdict']}")
    if isinstance(reason, str) and reason:
        parts.append(reason)
    return ": ".join(parts)
