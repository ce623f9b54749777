"""What pages and REST routes both ask of a request: the context, where it comes from, its session's cookie."""

from __future__ import annotations

import hashlib
from typing import Annotated, cast

from fastapi import Depends, Request

from lifecycle.usecases.context import Context

COOKIE = "drls_session"
# Where the scope of a request says with which code it was refused: for whoever counts that.
REFUSED = "drls.refused"


# Async, though they wait for nothing: FastAPI sends everything else to another thread and back.
async def context_of(request: Request) -> Context:
    """What the app was made with."""
    return context_in(request)


def csrf_of(secret: str) -> str:
    """The token that pages send back with every change; made from the session, so nothing is kept."""
    return hashlib.sha256(f"csrf:{secret}".encode()).hexdigest()


def host_of(request: Request) -> str:
    """Where a request comes from, for the audit log and rate limits."""
    return request.client.host if request.client else ""


def context_in(request: Request) -> Context:
    """What the app was made with."""
    return cast("Context", request.app.state.context)


Ctx = Annotated[Context, Depends(context_of)]
