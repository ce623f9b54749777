"""The home page: what waits for me, then the board."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from lifecycle.app.api.guard import Ctx
from lifecycle.app.pages.board import board
from lifecycle.app.pages.guard import Who
from lifecycle.app.pages.paging import PageNumber, QueryText, address
from lifecycle.app.pages.render import kit_of, render
from lifecycle.app.pages.waiting import waiting
from lifecycle.usecases.catalog import Search

router = APIRouter()


@router.get("/")
def home(ctx: Ctx, request: Request, who: Who, q: QueryText = "", page: PageNumber = 1) -> Response:
    """What waits for the visitor, then the board."""
    with ctx.store.read() as view:
        mine = waiting(view, who.actor)
        shown = board(view, who.actor, Search(text=q.strip()), page, kit_of(request).dagster)
    here = address("/board", {"q": q.strip()}, page)
    return render(
        request,
        "home/home.html",
        waiting=mine,
        board=shown,
        q=q,
        board_url=here,
        # Counted already: the badge and the title say what the list has.
        pending=lambda: len(mine.to_decide),
    )


@router.get("/waiting")
def waiting_part(ctx: Ctx, request: Request, who: Who) -> Response:
    """What waits for the visitor, again."""
    with ctx.store.read() as view:
        mine = waiting(view, who.actor)
    return render(request, "home/waiting.html", waiting=mine)


@router.get("/board")
def board_part(ctx: Ctx, request: Request, who: Who, q: QueryText = "", page: PageNumber = 1) -> Response:
    """The board, again."""
    with ctx.store.read() as view:
        shown = board(view, who.actor, Search(text=q.strip()), page, kit_of(request).dagster)
    here = address("/board", {"q": q.strip()}, page)
    return render(request, "home/board.html", board=shown, q=q, board_url=here)


@router.get("/badge")
def badge(request: Request) -> Response:
    """How many requests wait for the visitor: the same query as the list."""
    return render(request, "parts/badge.html")
