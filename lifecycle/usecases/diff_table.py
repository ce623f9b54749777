"""Diff two snapshots of a table: columns and files from metadata, and on request the rows."""

from __future__ import annotations

from lifecycle.domain.data_diff import RowKey, Side
from lifecycle.domain.environment import Environment
from lifecycle.domain.evolution import SnapshotDiff
from lifecycle.domain.people import Actor
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Refused
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.comparisons import Asked
from lifecycle.usecases.parts.row_keys import row_keys
from lifecycle.usecases.parts.table_users import own_environment, specs_of, table_users
from lifecycle.usecases.parts.visible_tables import real_name, seen_tables


def diff_table(
    ctx: Context,
    actor: Actor,
    table: TableAt,
    before: str | None,
    after: str | None,
    *,
    rows: bool = False,
    again: bool = False,
) -> SnapshotDiff:
    """`rows`: also compares the rows, in the background; `again` one that failed."""
    with ctx.store.read() as view:
        seen_tables(view, actor, uses=False).require(table.name)
    found = ctx.evolution.difference(table, before, after)
    if not rows or found.before.snapshot == found.after.snapshot:
        return found
    if '"' in found.table:
        raise Refused(f"rows of {found.table} cannot be compared: a part of its name has a dot")
    where = own_environment(found.table) or Environment.PRODUCTION
    asked = Asked(
        table=real_name(found.table),
        before=Side(environment=where, snapshot=found.before.snapshot),
        after=Side(environment=where, snapshot=found.after.snapshot),
        keys=_keys(ctx, found.table),
    )
    now = ctx.comparisons.ask(ctx.plane, asked, again=again)
    return found.model_copy(update={"progress": now.progress, "failed": now.failed, "data": now.diff})


def _keys(ctx: Context, name: str) -> tuple[RowKey, ...]:
    """What the writing version says of its rows; the one furthest on its way where several are active."""
    with ctx.store.read() as view:
        writers = [one for one in table_users(view, name) if one.writes]
        specs = specs_of(view, writers)
    best = sorted(writers, key=lambda one: -max((each.rank for each in one.environments), default=-1))
    return row_keys(specs[best[0].digest], real_name(name)) if best and best[0].digest in specs else ()
