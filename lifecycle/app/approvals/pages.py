"""The approvals: everything that is not over first, then what was decided."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BeforeValidator
from starlette.responses import Response

from lifecycle.app.approvals.lists import Filters, history, to_review, under_way
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.paging import PageNumber, address
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import State
from lifecycle.usecases.parts.visible import visible_ids
from lifecycle.usecases.pending import pending_ids
from lifecycle.verbs.inputs import Cursor

router = APIRouter()
# A form without scripts sends a filter that is not set as an empty text.
_Unset = BeforeValidator(lambda value: value or None)


def filters_of(
    state: Annotated[State | None, Query(), _Unset] = None,
    target: Annotated[Environment | None, Query(), _Unset] = None,
    pipeline: Annotated[str, Query(max_length=63, pattern=r"^[^\x00]*$")] = "",
    mine: Annotated[bool, Query(), BeforeValidator(lambda value: value or False)] = False,
) -> Filters:
    """What to show; nothing given shows everything."""
    return Filters(state, target, pipeline.strip(), mine)


Chosen = Annotated[Filters, Depends(filters_of)]


@router.get("/approvals")
def approvals_page(
    ctx: Ctx,
    request: Request,
    who: Who,
    chosen: Chosen,
    page: PageNumber = 1,
    reviews: PageNumber = 1,
    before: Cursor = None,
) -> Response:
    """What is under way, what waits for a later review, and the history."""
    with ctx.store.read() as view:
        mine, seen = pending_ids(view, who.actor), visible_ids(view, who.actor)
        open_ones = under_way(view, chosen, page, mine, seen) if before is None else None
        unreviewed = to_review(view, who.actor, reviews) if before is None and not chosen.any else None
        past = history(view, chosen, before, seen)
    return render(
        request,
        "approvals/list.html",
        # Counted already: the badge says how many the list marks.
        pending=lambda: len(mine),
        filters=chosen,
        waiting=open_ones,
        here=address("/approvals/pending", chosen.asked, page),
        reviews=unreviewed,
        past=past,
        older=address("/approvals", chosen.asked),
        states=tuple(State),
    )


@router.get("/approvals/pending")
def pending_part(ctx: Ctx, request: Request, who: Who, chosen: Chosen, page: PageNumber = 1) -> Response:
    """What is under way, again."""
    with ctx.store.read() as view:
        open_ones = under_way(view, chosen, page, pending_ids(view, who.actor), visible_ids(view, who.actor))
    here = address("/approvals/pending", chosen.asked, page)
    return render(request, "approvals/pending.html", filters=chosen, waiting=open_ones, here=here)


@router.get("/badge")
def badge(request: Request) -> Response:
    """How many requests wait for the visitor: the same query as the list."""
    return render(request, "approvals/badge.html")
