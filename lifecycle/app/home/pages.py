"""The home page: what waits for me, then the board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from lifecycle.app.home.board import Board, board
from lifecycle.app.home.waiting import Waiting, waiting
from lifecycle.app.kit.guard import Visitor, Who
from lifecycle.app.kit.paging import PageNumber, QueryText, address
from lifecycle.app.kit.render import kit_of, render
from lifecycle.app.kit.request import Ctx
from lifecycle.domain.roles import Role
from lifecycle.store.unit import View
from lifecycle.usecases.catalog import Search
from lifecycle.usecases.parts.rounds import shown as troubles_shown
from lifecycle.usecases.parts.visible import visible_troubles

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Place:
    """Where on the page somebody is: what the board is searched for, and the pages of the board and of what waits."""

    q: str
    page: int
    waiting: int

    def at(self, path: str) -> str:
        """The address of a part of the page, in this place."""
        return address(path, {"q": self.q, "waiting": str(self.waiting) if self.waiting > 1 else ""}, self.page)


def place_of(q: QueryText = "", page: PageNumber = 1, waiting: PageNumber = 1) -> Place:
    """What the address says."""
    return Place(q.strip(), page, waiting)


Here = Annotated[Place, Depends(place_of)]


@router.get("/")
def home(ctx: Ctx, request: Request, who: Who, here: Here) -> Response:
    """What waits for the visitor, then the board."""
    with ctx.store.read() as view:
        mine, shown = _mine(view, who, here), _board(view, who, request, here)
        failed = troubles_shown(visible_troubles(view, who.actor))
    # Counted already: the badge and the title say what the list has.
    return render(
        request,
        "home/home.html",
        waiting=mine,
        board=shown,
        here=here,
        q=here.q,
        stopped=ctx.orchestrator.stopped(),
        fence=ctx.fence() if who.has(Role.LEAD) else None,
        troubles=failed,
        pending=lambda: mine.to_decide,
    )


@router.get("/waiting")
def waiting_part(ctx: Ctx, request: Request, who: Who, here: Here) -> Response:
    """What waits for the visitor, again."""
    with ctx.store.read() as view:
        mine = _mine(view, who, here)
    return render(request, "home/waiting.html", waiting=mine, here=here)


@router.get("/board")
def board_part(ctx: Ctx, request: Request, who: Who, here: Here) -> Response:
    """The board, again."""
    with ctx.store.read() as view:
        shown = _board(view, who, request, here)
    return render(request, "home/board.html", board=shown, here=here, q=here.q)


def _mine(view: View, who: Visitor, here: Place) -> Waiting:
    asked = {"q": here.q, "page": str(here.page) if here.page > 1 else ""}
    return waiting(view, who.actor, here.waiting, asked)


def _board(view: View, who: Visitor, request: Request, here: Place) -> Board:
    asked = {"q": here.q, "waiting": str(here.waiting) if here.waiting > 1 else ""}
    return board(view, who.actor, Search(text=here.q), here.page, kit_of(request).dagster, asked)
