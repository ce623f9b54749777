"""The health of a table as a mark: a look, a word, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.domain.tables import TableAt
from lifecycle.errors import LifecycleError
from lifecycle.usecases.context import Context


@dataclass(frozen=True, slots=True)
class Mark:
    """`look` is one of the looks of a state; `why` says what to do, or that there is nothing."""

    look: str
    word: str
    why: str


def mark_of(ctx: Context, at: TableAt) -> Mark | None:
    """None for a table that is not there any more."""
    try:
        found = ctx.tables.health(at)
    except LifecycleError as error:
        return None if error.status == 404 else Mark("rejected", "unreadable", error.message)
    return mark_of_report(found.recommendation)


def mark_of_report(recommendation: str) -> Mark:
    """What a report recommends as a word."""
    if recommendation.startswith("Healthy"):
        return Mark("approved", "healthy", recommendation)
    return Mark("pending", "needs care", recommendation)
