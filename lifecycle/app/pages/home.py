"""The home page: what waits for me."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from lifecycle.app.pages.render import render

router = APIRouter()


@router.get("/")
def home(request: Request) -> Response:
    """What waits for the visitor, then the board."""
    return render(request, "home.html")


@router.get("/badge")
def badge(request: Request) -> Response:
    """How many requests wait for the visitor: the same query as the list."""
    return render(request, "parts/badge.html")
