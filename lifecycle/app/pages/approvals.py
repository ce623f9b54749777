"""The approvals: everything that is not over first, all of it, then what was decided."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BeforeValidator
from starlette.responses import Response

from lifecycle.app.api.guard import Ctx
from lifecycle.app.api.models import Cursor
from lifecycle.app.pages.approvals_view import Filters, history, under_way
from lifecycle.app.pages.guard import Who
from lifecycle.app.pages.render import render
from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import State
from lifecycle.usecases.unreviewed import unreviewed_outlines

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
def approvals_page(ctx: Ctx, request: Request, who: Who, chosen: Chosen, before: Cursor = None) -> Response:
    """What is under way, what waits for a later review, and the history."""
    with ctx.store.read() as view:
        open_ones = under_way(view, who.actor, chosen)
        reviews = unreviewed_outlines(view, who.actor) if not chosen.any else ()
        past = history(view, who.actor, chosen, before)
    # Unfiltered, the list has what the badge counts: it need not be asked for twice.
    counted: dict[str, Any] = {} if chosen.any else {"pending": lambda: sum(line.mine for line in open_ones)}
    return render(
        request,
        "approvals/list.html",
        **counted,
        filters=chosen,
        query=_query(chosen),
        waiting=open_ones,
        reviews=reviews,
        past=past,
        paged=before is not None,
        states=tuple(State),
    )


@router.get("/approvals/pending")
def pending_part(ctx: Ctx, request: Request, who: Who, chosen: Chosen) -> Response:
    """What is under way, again."""
    with ctx.store.read() as view:
        open_ones = under_way(view, who.actor, chosen)
    return render(request, "approvals/pending.html", filters=chosen, query=_query(chosen), waiting=open_ones)


def _query(chosen: Filters) -> str:
    """The filters as a query, without those that are not set."""
    given = {
        "state": chosen.state and chosen.state.value,
        "target": chosen.target and chosen.target.value,
        "pipeline": chosen.pipeline,
        "mine": "1" if chosen.mine else "",
    }
    return urlencode({name: value for name, value in given.items() if value})
