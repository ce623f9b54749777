"""Operate on tables: plan, start, follow and cancel compactions, expiry and the like.

The right is asked in the transaction that audits the act. A table's only operation is reserved before it and starts
after it, so that nothing runs which the audit log does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lifecycle.domain.checklist import refuse
from lifecycle.domain.environment import Environment
from lifecycle.domain.operations import Operation, OperationAt, OperationKind, OperationPlan, OperationState, Options
from lifecycle.domain.people import Actor
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.table_policy import TablePolicy
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Conflict, Invalid, NotFound, Refused
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.table_holds import hold_in_words, holds_on, require_not_held
from lifecycle.usecases.parts.table_users import lead_checks, table_users
from lifecycle.usecases.parts.visible_tables import real_name, seen_tables

_DOING = "maintaining a table"
_PAGE = 500
_OWN_REFS = ("drls-", "drls_")


def plan_operation(
    ctx: Context, actor: Actor, kind: OperationKind, table: TableAt, ref: str | None, options: Options
) -> OperationPlan:
    """What it would do now; changes nothing. Refused where starting it would be, whoever asks.

    A stop refuses no plan: it says what to do once it is lifted.
    """
    _seen(ctx, actor, table.name)
    _known(ctx, kind)
    at = ctx.maintenance.locate(table, ref)
    with ctx.store.read() as view:
        governing_pipeline(view, kind, at)
    return ctx.maintenance.plan(kind, at, options)


def start_operation(
    ctx: Context,
    actor: Actor,
    kind: OperationKind,
    table: TableAt,
    ref: str | None,
    options: Options,
    *,
    digest: str | None = None,
) -> Operation:
    """Starts it, for a Lead of every pipeline that writes the table. `digest`: that of the plan they looked at.

    Raises Conflict where the plan is another one by now, or another operation is at work on the table, Refused while a
    stop concerns it (L9).
    """
    _seen(ctx, actor, table.name)
    _known(ctx, kind)
    at = ctx.maintenance.locate(table, ref)
    with ctx.store.read() as view:
        pipeline = _check(view, actor, kind, at)
    plan = ctx.maintenance.plan(kind, at, options)
    if digest is not None and digest != plan.digest:
        raise Conflict(f"{at.table} has changed since you looked at this plan; plan again")
    return _begin(ctx, actor, at, plan, options, pipeline, _check)


def start_automatic(ctx: Context, actor: Actor, kind: OperationKind, name: str, options: Options) -> Operation | None:
    """Starts it for the installation itself, which the table's policy allows to; None where it is not needed.

    Raises Refused while a freeze or a stop concerns the table, Conflict while another operation is at work on it.
    """
    if actor.person is not None:
        raise Refused(f"{actor.name} is a person: start the operation yourself, with your own rights")
    _known(ctx, kind)
    at = ctx.maintenance.locate(TableAt(name=name), None)
    with ctx.store.read() as view:
        pipeline = _check_automatic(view, actor, kind, at)
    plan = ctx.maintenance.plan(kind, at, options)
    if not plan.needed:
        return None
    return _begin(ctx, actor, at, plan, options, pipeline, _check_automatic)


def _begin(
    ctx: Context,
    actor: Actor,
    at: OperationAt,
    plan: OperationPlan,
    options: Options,
    pipeline: str | None,
    check: Callable[[View, Actor, OperationKind, OperationAt], str | None],
) -> Operation:
    """Reserves, audits and launches it. `check` is asked again where it is audited."""
    kind = plan.kind
    reserved = ctx.maintenance.reserve(at, plan, options, actor, pipeline)
    try:
        with ctx.store.write(actor, "start_operation") as unit:
            if check(unit, actor, kind, at) != pipeline:
                raise Conflict(f"another version became active that writes {at.table}; try again")
            unit.audit(
                "operation.started",
                f"table:{at.table}",
                operation=reserved.id,
                kind=kind.value,
                ref=at.ref,
                plan=plan.digest,
                options=options.model_dump(mode="json", exclude_defaults=True),
            )
    except BaseException:
        ctx.maintenance.forget(reserved.id)
        raise
    ctx.maintenance.launch(reserved.id)
    return ctx.maintenance.operation(reserved.id)


def show_automatic(ctx: Context, actor: Actor, operation_id: int) -> Operation:
    """One that the installation started itself. Raises NotFound for one of a person."""
    found = ctx.maintenance.operation(operation_id)
    if actor.person is not None or found.asked_by != actor.name:
        raise NotFound(f"there is no automatic operation {operation_id}")
    return found


def stop_automatic(ctx: Context, actor: Actor, operation_id: int) -> Operation:
    """Asks one to stop that the installation started itself. Raises NotFound for one of a person."""
    found = show_automatic(ctx, actor, operation_id)
    if not found.state.is_over:
        with ctx.store.write(actor, "cancel_operation") as unit:
            unit.audit("operation.cancelled", f"table:{found.table}", operation=operation_id, kind=found.kind.value)
        ctx.maintenance.cancel(operation_id)
    return ctx.maintenance.operation(operation_id)


def end_operation(ctx: Context, actor: Actor, operation: Operation) -> None:
    """The audit log's word on how an operation ended; `actor` is who asked for it."""
    with ctx.store.write(actor, "end_operation") as unit:
        unit.audit(
            "operation.ended",
            f"table:{operation.table}",
            operation=operation.id,
            kind=operation.kind.value,
            state=operation.state.value,
            result=operation.result.model_dump(mode="json", exclude={"files"}) if operation.result else None,
        )


def cancel_operation(ctx: Context, actor: Actor, operation_id: int) -> Operation:
    """Asks it to stop, for who may start it. One that is over stays as it is."""
    found = show_operation(ctx, actor, operation_id)
    if found.state.is_over:
        raise Refused(f"operation {operation_id} is {found.state.value}; there is nothing to cancel")
    with ctx.store.write(actor, "cancel_operation") as unit:
        refuse(lead_checks(unit, actor, table_users(unit, found.table), _DOING))
        unit.audit("operation.cancelled", f"table:{found.table}", operation=operation_id, kind=found.kind.value)
    ctx.maintenance.cancel(operation_id)
    return ctx.maintenance.operation(operation_id)


def show_operation(ctx: Context, actor: Actor, operation_id: int) -> Operation:
    """Raises NotFound for one that is not there, or that is of a table which the caller may not see."""
    with ctx.store.read() as view:
        seen = seen_tables(view, actor, uses=False)
    unknown = NotFound(f"there is no operation {operation_id} that you may see; list them: drls maintain list")
    try:
        found = ctx.maintenance.operation(operation_id)
    except NotFound:
        raise unknown from None
    if not seen.may(found.table):
        raise unknown
    return found


def table_policy(ctx: Context, actor: Actor, table: TableAt) -> TablePolicy:
    """What may happen to a table without being asked, and what holds it back now: a freeze, a stop, or a window."""
    _seen(ctx, actor, table.name)
    at = ctx.maintenance.locate(table, None)
    found = ctx.maintenance.policy(at, ctx.clock.now())
    with ctx.store.read() as view:
        held = next(iter(holds_on(view, at)), None)
        words = hold_in_words(view, held) if held else ""
    return found.model_copy(update={"waits": words, "opens": None}) if words else found


def list_operations(
    ctx: Context,
    actor: Actor,
    *,
    table: TableAt | None,
    states: Sequence[OperationState],
    before: int | None,
    limit: int,
) -> tuple[Sequence[Operation], int | None]:
    """Newest first, of tables that the caller may see, and the number to continue behind."""
    with ctx.store.read() as view:
        seen = seen_tables(view, actor, uses=False)
    name = None
    if table is not None:
        seen.require(table.name)
        name = ctx.maintenance.locate(table, None).table if table.environment is not None else table.name
    found: list[Operation] = []
    while len(found) <= limit:
        page = ctx.maintenance.operations(name, states, before, _PAGE)
        found += [one for one in page if seen.may(one.table)]
        if len(page) < _PAGE:
            break
        before = page[-1].id
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def governing_pipeline(view: View, kind: OperationKind, at: OperationAt) -> str | None:
    """Whose permits the operation publishes under: the pipeline whose version in production writes this very ref.

    None where no ref moves, or nobody governs it. Raises Refused for branches that hold evidence.
    """
    if not kind.moves_ref:
        return None
    if at.ref.startswith(_OWN_REFS):
        raise Refused(f"{at.ref} belongs to DRLS: a run or a release needs it as it is")
    writers = [one for one in table_users(view, at.table) if one.writes]
    if at.ref in (Environment.QA.ref, Environment.UAT.ref) and writers:
        raise Refused(
            f"{at.ref} of {at.table} holds the evidence of {writers[0].pipeline} in {at.ref.upper()}; a rewrite would "
            "void it (D9). Maintain the table in production, or start a new session first"
        )
    if at.ref != Environment.PRODUCTION.ref or real_name(at.table) != at.table:
        return None
    return next((one.pipeline for one in writers if Environment.PRODUCTION in one.environments), None)


def _check(view: View, actor: Actor, kind: OperationKind, at: OperationAt) -> str | None:
    refuse(lead_checks(view, actor, table_users(view, at.table), _DOING))
    require_not_held(view, at, HoldKind.STOP)
    return governing_pipeline(view, kind, at)


def _check_automatic(view: View, _actor: Actor, kind: OperationKind, at: OperationAt) -> str | None:
    require_not_held(view, at, HoldKind.STOP, HoldKind.FREEZE)
    return governing_pipeline(view, kind, at)


def _seen(ctx: Context, actor: Actor, name: str) -> None:
    with ctx.store.read() as view:
        seen_tables(view, actor, uses=False).require(name)


def _known(ctx: Context, kind: OperationKind) -> None:
    known = ctx.maintenance.kinds()
    if known and kind not in known:
        raise Invalid(f"{kind.value} is not available here; there are: {', '.join(known)}")
