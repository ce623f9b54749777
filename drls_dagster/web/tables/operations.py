"""Operations on tables: those that run and those that ran, and one of them with its progress."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from drls_dagster.web.tables import links
from drls_dagster.web.tables.operating import figures, may_operate, operation_row
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Visitor, Who
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.usecases.context import Context
from lifecycle.usecases.operate_table import cancel_operation, list_operations, show_operation

router = APIRouter()
PAGE = 50
Id = Annotated[int, Path(ge=1, le=2**53)]


@router.get(links.OPERATIONS)
def operations(
    ctx: Ctx, request: Request, who: Who, before: Annotated[int | None, Query(ge=1, le=2**53)] = None
) -> Response:
    """Newest first."""
    return _list(ctx, request, who, before, "tables/operations.html")


@router.get(f"{links.OPERATIONS}/live")
def operations_live(
    ctx: Ctx, request: Request, who: Who, before: Annotated[int | None, Query(ge=1, le=2**53)] = None
) -> Response:
    """The same, as the part that loads itself again."""
    return _list(ctx, request, who, before, "tables/operations_live.html")


@router.get(f"{links.OPERATIONS}/{{operation_id}}")
def operation(ctx: Ctx, request: Request, who: Who, operation_id: Id) -> Response:
    """An operation: its plan, how far it is, and its result."""
    return _one(ctx, request, who, operation_id, "tables/operation.html")


@router.get(f"{links.OPERATIONS}/{{operation_id}}/live")
def operation_live(ctx: Ctx, request: Request, who: Who, operation_id: Id) -> Response:
    """The same, as the part that loads itself again."""
    return _one(ctx, request, who, operation_id, "tables/operation_live.html")


@router.post(f"{links.OPERATIONS}/{{operation_id}}/cancel")
def cancel(ctx: Ctx, request: Request, who: Who, operation_id: Id) -> Response:
    """Asks it to stop; its commits so far are kept."""
    cancel_operation(ctx, who.actor, operation_id)
    return done(request, f"{links.OPERATIONS}/{operation_id}", "Asked to stop. Its commits so far are kept.", "warn")


def _list(ctx: Context, request: Request, who: Visitor, before: int | None, template: str) -> Response:
    found, following = list_operations(ctx, who.actor, table=None, states=(), before=before, limit=PAGE)
    return render(
        request,
        template,
        rows=[operation_row(one) for one in found],
        running=any(not one.state.is_over for one in found),
        live_url=f"{links.OPERATIONS}/live" + (f"?before={before}" if before else ""),
        next_url=f"{links.OPERATIONS}?before={following}" if following else "",
        first_url=links.OPERATIONS if before else "",
    )


def _one(ctx: Context, request: Request, who: Visitor, operation_id: int, template: str) -> Response:
    found = show_operation(ctx, who.actor, operation_id)
    with ctx.store.read() as view:
        lacks = may_operate(view, who.actor, found.table) if not found.state.is_over else ()
    return render(
        request,
        template,
        row=operation_row(found),
        one=found,
        may_cancel=not found.state.is_over and not found.cancelling and not lacks,
        planned=figures(found.plan.figures) if found.plan is not None else (),
        files=getattr(found.result, "files", ()),
    )
