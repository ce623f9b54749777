"""The view of a table's health: what its files are like, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from drls_dagster.web.tables.frame import Asked, Frame, page
from drls_dagster.web.tables.healthy import mark_of_report
from drls_dagster.web.tables.operating import NAMES, doable, operation_rows
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.request import Ctx

router = APIRouter()
_OPERATIONS = 5


@router.get("/tables/{name}/health")
def health(ctx: Ctx, request: Request, who: Who, at: Asked) -> Response:
    """From metadata alone."""

    def made(frame: Frame) -> Mapping[str, Any]:
        report = ctx.tables.health(at)
        can = doable(ctx)
        return {
            "report": report,
            "mark": mark_of_report(report.recommendation),
            "operations": [(kind, frame.url("maintain", kind=kind.value)) for kind in can],
            "names": NAMES,
            "done": operation_rows(ctx, who, table=report.name, limit=_OPERATIONS) if can else [],
        }

    return page(ctx, request, who, at, "health", made)
