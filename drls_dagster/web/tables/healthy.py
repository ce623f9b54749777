"""The health of a table as a mark: a look, a word, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.domain.tables import TableAt
from lifecycle.errors import LifecycleError
from lifecycle.usecases.context import Context

GOOD, FAIR = 80, 50


@dataclass(frozen=True, slots=True)
class Mark:
    """`look` is one of the looks of a state; `why` says what to do, or that there is nothing."""

    look: str
    word: str
    why: str
    score: int | None = None


def mark_of(ctx: Context, at: TableAt) -> Mark | None:
    """None for a table that is not there any more."""
    try:
        found = ctx.tables.health(at)
    except LifecycleError as error:
        return None if error.status == 404 else Mark("rejected", "unreadable", error.message)
    return mark_of_score(found.score, found.recommendation)


def mark_of_score(score: int, recommendation: str) -> Mark:
    """A score as a word: always the same for the same number."""
    if score >= GOOD:
        return Mark("approved", "healthy", recommendation, score)
    return Mark(*(("pending", "fair") if score >= FAIR else ("rejected", "poor")), recommendation, score)
