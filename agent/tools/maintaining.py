"""Operations on tables for agents: planned by whoever sees the table, done for a Lead who confirms."""

from __future__ import annotations

import time
from typing import Any, Literal

from pydantic import Field

from agent.tools.call import ToolCall
from agent.tools.errors import ToolError
from agent.tools.paging import short
from agent.tools.tables import Name
from agent.tools.tool import Answer, Effect, Input, Toolset, tool
from lifecycle.domain.environment import Environment
from lifecycle.domain.operations import (
    CompactOptions,
    CompactResult,
    ExpireOptions,
    ExpireResult,
    ManifestOptions,
    Operation,
    OperationKind,
    OperationPlan,
    OperationState,
    OrphanOptions,
    OrphanResult,
    VacuumOptions,
)
from lifecycle.domain.roles import Role
from lifecycle.verbs.maintenance import options_of

LONGEST_WAIT = 600.0
_LOOK_SECONDS = 0.5
_LIST = 20

Action = Literal["compact", "rewrite_manifests", "expire", "orphans", "vacuum", "list", "show", "cancel"]


class Maintain(Input):
    """An operation on a table, or (list, show, cancel) on what was started."""

    action: Action
    table: Name = ""
    environment: Environment | None = None
    ref: str | None = Field(None, description="branch", max_length=200)
    options: dict[str, Any] = Field(
        {},
        description="strategy (binpack, sort, zorder), columns, where, target_bytes; retain_last, older_than; "
        "orphans: dry_run",
    )
    operation: int = Field(0, ge=0, description="for show and cancel")
    plan_digest: str = Field("", max_length=100)
    dry_run: bool = Field(True, description="only plan")


class Maintained(Answer):
    """The plan, or the operation."""

    operation: int | None = None
    state: str
    lines: list[str]
    plan_digest: str | None = None


@tool(Toolset.TABLES, effect=Effect.CHANGE)
def maintain(call: ToolCall, given: Maintain) -> Maintained:
    """Plan (dry_run) or do maintenance of a table; list, show and cancel operations. Doing it needs a Lead."""
    ask = call.lifecycle.maintenance
    match given.action:
        case "list":
            found = ask.list(table=given.table or None, environment=given.environment, limit=_LIST)
            lines = [f"{one.id}: {one.kind.value} of {one.table}, {one.state.value}, {one.asked_by}" for one in found]
            return Maintained(state=f"{len(found)} operations", lines=[short(one, 300) for one in lines])
        case "show" | "cancel" if given.operation == 0:
            raise ToolError("operation is missing", hint="list shows the numbers")
        case "show":
            return _told(ask.show(given.operation))
        case "cancel":
            known = ask.show(given.operation)
            call.confirm(f"Cancel operation {known.id}, {known.kind.value} of {known.table}?")
            return _told(ask.cancel(given.operation))
        case _:
            return _planned_or_done(call, given, OperationKind(given.action))


def _planned_or_done(call: ToolCall, given: Maintain, kind: OperationKind) -> Maintained:
    if not given.table:
        raise ToolError("table is missing", hint="search finds tables")
    plan = call.lifecycle.maintenance.plan(
        kind, given.table, environment=given.environment, ref=given.ref, options=given.options
    )
    if given.plan_digest not in ("", plan.digest):
        raise ToolError(f"{plan.table} or the plan is another by now", hint="plan it again")
    if given.dry_run:
        return Maintained(
            state="nothing was done",
            lines=plan_lines(plan),
            plan_digest=plan.digest,
            next="call again with dry_run=false to do it" if plan.needed else "it is not needed now",
        )
    return _told(do(call, plan, given.table, given.environment, given.ref, given.options))


def do(
    call: ToolCall,
    plan: OperationPlan,
    table: str,
    environment: Environment | None,
    ref: str | None,
    options: dict[str, Any],
) -> Operation:
    """Starts what was planned, once a person agreed, and waits for its end. Raises ToolError where it failed."""
    ask = call.lifecycle.maintenance
    made = options_of(plan.kind, options)
    only_lists = isinstance(made, OrphanOptions) and made.dry_run
    # Also in development: no verb brings back what is removed.
    if not only_lists:
        call.confirm(f"{short('; '.join(plan_lines(plan)[:4]), 500)}: do it?")
    where: dict[str, Any] = {"name": table, "environment": environment, "plan": plan.digest}
    match made:
        case VacuumOptions():
            started = ask.vacuum(**where, ref=ref, options=options)
        case OrphanOptions():
            hours = made.older_than.total_seconds() / 3_600
            started = ask.orphans(**where, older_than_hours=hours, dry_run=made.dry_run)
        case ExpireOptions():
            started = ask.expire(**where, **made.model_dump())
        case ManifestOptions():
            started = ask.manifests(**where, ref=ref, **made.model_dump())
        case CompactOptions():
            given = made.model_dump()
            started = ask.compact(**where, ref=ref, every_file=given.pop("all"), **given)
    ended = _wait(call, started)
    if ended.state is OperationState.FAILED:
        raise ToolError(f"operation {ended.id} failed: {ended.error}")
    return ended


def _wait(call: ToolCall, started: Operation) -> Operation:
    now, until = started, time.monotonic() + LONGEST_WAIT
    while not now.state.is_over and not call.client.cancelled and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
        now = call.lifecycle.maintenance.show(started.id)
        if now.progress is not None:
            call.client.progress(now.progress.done, now.progress.total or None, now.progress.what)
    return now


def plan_lines(plan: OperationPlan) -> list[str]:
    """A plan in a few lines."""
    figures = ", ".join(f"{name} {value:,}" for name, value in list(plan.figures.items())[:20])
    return [
        f"{plan.kind.value} {plan.table} at {plan.ref}: {'needed' if plan.needed else 'not needed'}",
        *(short(one, 300) for one in plan.reasons[:20]),
        *([figures] if figures else []),
        *([f"cost: {short(plan.cost, 200)}"] if plan.cost else []),
    ]


def _told(one: Operation) -> Maintained:
    result = one.result.model_dump(mode="json", exclude={"files"}) if one.result else {}
    lines = [f"{one.kind.value} of {one.table} at {one.ref}, by {one.asked_by}"]
    lines += [f"{name}: {value}" for name, value in result.items() if value is not None]
    lines += [one.error] if one.error else []
    if one.progress and not one.state.is_over:
        lines.append(f"{one.progress.done} of {one.progress.total} {one.progress.what}")
    after = "" if one.state.is_over else f"ask again: action=show, operation={one.id}"
    return Maintained(
        operation=one.id, state=one.state.value, lines=[short(line, 400) for line in lines[:30]], next=after
    )


class CompactTable(Input):
    """Which table, and how."""

    table: Name
    strategy: Literal["binpack", "sort", "zorder"] = "binpack"
    columns: list[str] = Field([], max_length=32, description="to sort by")


class Compacted(Answer):
    """What was rewritten."""

    rewritten_files: int
    new_files: int
    rewritten_bytes: int


@tool(Toolset.DRLS1, role=Role.LEAD, effect=Effect.CHANGE)
def compact_table(call: ToolCall, given: CompactTable) -> Compacted:
    """Rewrite small files as few large ones."""
    options: dict[str, Any] = {"strategy": given.strategy, "columns": given.columns}
    found = _result(call, OperationKind.COMPACT, given.table, options)
    if not isinstance(found, CompactResult):
        raise _not_over(OperationKind.COMPACT)
    return Compacted(
        rewritten_files=found.rewritten_files, new_files=found.new_files, rewritten_bytes=found.rewritten_bytes
    )


class ExpireSnapshots(Input):
    """Which table, and how many snapshots of each branch stay."""

    table: Name
    retain_last: int = Field(5, ge=1, le=1_000_000)


class Expired(Answer):
    """How many snapshots went and remain."""

    expired_count: int
    remaining_count: int


@tool(Toolset.DRLS1, role=Role.LEAD, effect=Effect.CHANGE)
def expire_snapshots(call: ToolCall, given: ExpireSnapshots) -> Expired:
    """Remove old snapshots and their files."""
    found = _result(call, OperationKind.EXPIRE, given.table, {"retain_last": given.retain_last})
    if not isinstance(found, ExpireResult):
        raise _not_over(OperationKind.EXPIRE)
    return Expired(expired_count=found.expired_count, remaining_count=found.remaining_count)


class RemoveOrphanFiles(Input):
    """Which table, and whether to list them only."""

    table: Name
    dry_run: bool = True


class OrphansFound(Answer):
    """Files that no metadata names, and how many bytes of them were removed."""

    orphan_count: int
    removed_bytes: int


@tool(Toolset.DRLS1, role=Role.LEAD, effect=Effect.CHANGE)
def remove_orphan_files(call: ToolCall, given: RemoveOrphanFiles) -> OrphansFound:
    """List or remove orphan files."""
    found = _result(call, OperationKind.ORPHANS, given.table, {"dry_run": given.dry_run})
    if not isinstance(found, OrphanResult):
        raise _not_over(OperationKind.ORPHANS)
    return OrphansFound(orphan_count=found.orphan_count, removed_bytes=found.removed_bytes)


def _result(call: ToolCall, kind: OperationKind, table: str, options: dict[str, Any]) -> object:
    plan = call.lifecycle.maintenance.plan(kind, table, options=options)
    return do(call, plan, table, None, None, options).result


def _not_over(kind: OperationKind) -> ToolError:
    return ToolError(f"{kind.value} has no result yet", hint="follow it: drls maintain list")
