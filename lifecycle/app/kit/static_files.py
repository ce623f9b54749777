"""The files of the pages."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from lifecycle.app.kit.needs import OPEN
from lifecycle.app.kit.render import kit_of
from lifecycle.app.kit.section import Pages, Section

router = APIRouter()


# Async: from memory, another thread would cost more than it saves.
@router.get("/static/{digest}/{name}")
async def static_file(request: Request, digest: str, name: str) -> Response:
    """A file; `digest` makes its address new when its content is, an old one gets what is there now."""
    return kit_of(request).assets.answer(request, name)


# In front of every site's own sections.
STATIC = Section("static", pages=Pages((router,), {("GET", "/static/{digest}/{name}"): OPEN}))
