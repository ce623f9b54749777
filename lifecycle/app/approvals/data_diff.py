"""What a request changes in a table: a part of the review page, and a page of its own for who has no scripts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from lifecycle.app.approvals.data_view import view_of
from lifecycle.app.kit import links
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.usecases.compare_data import compare_data

router = APIRouter()


@router.get("/approvals/{promotion_id}/data/{table}")
def data(
    ctx: Ctx,
    request: Request,
    who: Who,
    promotion_id: Annotated[int, Path(ge=1, le=2**53)],
    table: Annotated[str, Path(min_length=1, max_length=500)],
    again: bool = False,
) -> Response:
    """Answers at once: while the comparison is computed, how far it is; `again` tries a failed one again."""
    found = compare_data(ctx, who.actor, promotion_id, table, again=again)
    answer = render(
        request,
        "approvals/data_diff.html" if "hx-request" in request.headers else "approvals/data_diff_page.html",
        promotion_id=promotion_id,
        comparison=found,
        shown=view_of(found.diff) if found.diff is not None else None,
        url=links.request_data(promotion_id, table),
    )
    # Samples of data stay out of caches, the browser's own too.
    answer.headers["Cache-Control"] = "no-store"
    return answer
