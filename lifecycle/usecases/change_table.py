"""Change a table by hand: planned, checked, noted in the audit log, committed, and noted again.

A schema change makes no snapshot, so it moves no head and is no drift (L15). What moves a ref moves no governed one.
"""

from __future__ import annotations

from lifecycle.domain.checklist import refuse
from lifecycle.domain.evolution import Change, ChangeFacts, TableChange
from lifecycle.domain.people import Actor
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Conflict, Invalid, LifecycleError
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.change_checks import Judged, judge
from lifecycle.usecases.parts.table_users import lead_checks, table_users
from lifecycle.usecases.parts.visible_tables import seen_tables

_MOST_NOTED = 100
_LONGEST_REASON = 10_000


def plan_change(
    ctx: Context, actor: Actor, table: TableAt, change: Change, *, accept_untraced: bool = False
) -> TableChange:
    """What a change would do, and what keeps it from being made; changes nothing.

    Raises NotFound for a table that is not there or that the caller may not see, and what the change itself refuses.
    """
    _require_seen(ctx, actor, table)
    facts = ctx.evolution.plan(table, change)
    with ctx.store.read() as view:
        judged = judge(view, actor, facts, change, reason="", accept_untraced=accept_untraced, planning=True)
    return _answer(change, facts, judged, done=False)


def change_table(
    ctx: Context,
    actor: Actor,
    table: TableAt,
    change: Change,
    *,
    reason: str = "",
    accept_untraced: bool = False,
    if_plan: str | None = None,
    key: str | None = None,
) -> TableChange:
    """Makes the change in one metadata commit. `if_plan`: refuses if it is no longer what was planned."""
    command = {"table": table.model_dump(mode="json"), "change": change.model_dump(mode="json"), "reason": reason}
    with ctx.store.read() as view:
        earlier = view.answered(actor, "change_table", key, command, TableChange)
    if earlier is not None:
        return earlier
    if len(reason) > _LONGEST_REASON:
        raise Invalid(f"the reason is longer than {_LONGEST_REASON:,} characters")
    _require_seen(ctx, actor, table)
    with ctx.store.read() as view:  # before the table itself answers
        refuse(lead_checks(view, actor, table_users(view, table.name), f"changing {table.name}"))
    facts = ctx.evolution.plan(table, change)
    if if_plan not in (None, facts.digest_for(change)):
        raise Conflict(f"{facts.table} or the plan of this change is another by now; look at the plan again")
    said = {"change": change.model_dump(mode="json", exclude_none=True), "lines": list(facts.lines[:_MOST_NOTED])}
    with ctx.store.read() as view:
        judged = judge(view, actor, facts, change, reason=reason, accept_untraced=accept_untraced, planning=False)
    refuse(judged.checks)
    if not facts.lines:
        return _answer(change, facts, judged, done=False)
    with ctx.store.write(actor, "change_table") as unit:
        # What is asked of the store holds while this is noted; the catalog compares what it changes itself.
        judged = judge(unit, actor, facts, change, reason=reason, accept_untraced=accept_untraced, planning=False)
        refuse(judged.checks)
        unit.audit(
            "table.changing", f"table:{facts.table}", reason=reason, governed=judged.governed, uuid=facts.uuid, **said
        )
    try:
        ctx.evolution.apply(table, change, facts)
    except LifecycleError as error:
        with ctx.store.write(actor, "change_table") as unit:
            unit.audit("table.not_changed", f"table:{facts.table}", why=error.message, **said)
        raise
    with ctx.store.write(actor, "change_table", key=key, command=command) as unit:
        unit.audit("table.changed", f"table:{facts.table}", reason=reason, governed=judged.governed, **said)
        return unit.remember(_answer(change, facts, judged, done=True))


def _require_seen(ctx: Context, actor: Actor, table: TableAt) -> None:
    with ctx.store.read() as view:
        seen_tables(view, actor, uses=False).require(table.name)


def _answer(change: Change, facts: ChangeFacts, judged: Judged, *, done: bool) -> TableChange:
    return TableChange(
        table=facts.table,
        done=done,
        lines=facts.lines,
        refused=tuple(check.text for check in judged.checks if not check.ok),
        warnings=(*facts.warnings, *judged.warnings),
        uses=judged.uses,
        governed=judged.governed,
        base=facts.base,
        to=facts.to,
        undone=facts.undone[:_MOST_NOTED],
        digest=facts.digest_for(change),
    )
