"""Health of tables: of one, of all that somebody may see, and how the score of one went."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.table_health import HealthLook, HealthReport, TableHealth
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Invalid
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.visible_tables import environment_of, seen_tables


class Which(Frozen):
    """Which tables of those that the caller may see."""

    namespace: str = ""
    environment: Environment | None = None
    search: str = ""
    below: int = 101


def table_health(ctx: Context, actor: Actor, table: TableAt, *, orphans: bool = False) -> HealthReport:
    _require(ctx, actor, table.name)
    return ctx.tables.health(table, orphans=orphans)


def fleet_health(
    ctx: Context, actor: Actor, which: Which, *, after: str, limit: int
) -> tuple[Sequence[TableHealth], str | None]:
    """Tables by score, worst first, behind `after`, and where to continue. Those that cannot be read come first."""
    with ctx.store.read() as view:
        seen = seen_tables(view, actor, uses=False)
    text = which.search.casefold()
    names = [
        name
        for name in sorted(ctx.tables.names())
        if seen.may(name)
        and text in name.casefold()
        and (not which.namespace or name.startswith(f"{which.namespace}."))
        and (which.environment is None or environment_of(name) is which.environment)
    ]
    behind = _place(after) if after else None
    every = sorted(
        (one for one in ctx.tables.healths(names) if one.score is None or one.score < which.below),
        key=lambda one: one.worst_first,
    )
    left = [one for one in every if behind is None or one.worst_first > behind]
    page = left[:limit]
    more = len(left) > limit
    return page, "{}:{}".format(*page[-1].worst_first) if more else None


def score_history(
    ctx: Context, actor: Actor, name: str, *, before: str, limit: int
) -> tuple[Sequence[HealthLook], bool]:
    """Looks, newest first, and whether there are more. Raises NotFound for a table that the caller may not see."""
    _require(ctx, actor, name)
    found = ctx.tables.health_history(name, _time(before) if before else None, limit + 1)
    return found[:limit], len(found) > limit


def _require(ctx: Context, actor: Actor, name: str) -> None:
    with ctx.store.read() as view:
        seen_tables(view, actor, uses=False).require(name)


def _place(after: str) -> tuple[int, str]:
    score, _, name = after.partition(":")
    if not (score.removeprefix("-").isdecimal() and name):
        raise Invalid("after is the `next` of an earlier page")
    return int(score), name


def _time(before: str) -> float:
    try:
        at = datetime.fromisoformat(before)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Invalid("before is a time with its zone, such as 2026-01-31T12:00:00Z")
    return at.timestamp()
