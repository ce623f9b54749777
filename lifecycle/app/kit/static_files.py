"""The files of the pages."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from lifecycle.app.kit.render import kit_of

router = APIRouter()


# Async: from memory, another thread would cost more than it saves.
@router.get("/static/{digest}/{name}")
async def static_file(request: Request, digest: str, name: str) -> Response:
    """A file; `digest` makes its address new when its content is, an old one gets what is there now."""
    return kit_of(request).assets.answer(request, name)
