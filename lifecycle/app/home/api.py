"""Health, and the stream of changes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.rest.guard import Who, guard
from lifecycle.audit.chain import Entry
from lifecycle.domain.people import Actor
from lifecycle.errors import Forbidden, Unauthorized
from lifecycle.store.store import Store
from lifecycle.usecases.parts.visible import sees_everything

router = APIRouter(prefix="/api", tags=["installation"])
_LOOK_EVERY = 1.0
_BEAT_EVERY = 15.0


class Health(BaseModel):
    """`sequence` is that of the newest entry of the audit log."""

    status: str
    sequence: int


@router.get("/health")
def health(ctx: Ctx) -> Health:
    """Whether the store answers, and how far its audit log is."""
    with ctx.store.read() as view:
        return Health(status="ok", sequence=view.log.head().sequence)


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events"}},
)
def events(
    ctx: Ctx,
    who: Who,
    request: Request,
    seconds: Annotated[float, Query(ge=0, le=3600)] = 300,
    after: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    last_event_id: Annotated[str | None, Header(max_length=15, pattern=r"^[0-9]+$")] = None,
) -> StreamingResponse:
    """What happens, as it happens: the verb, and for who sees every pipeline the subject. Pages then ask for the rest.

    It begins behind the entry `after`, else with what comes next, and ends after `seconds`; the browser comes
    back with Last-Event-ID and misses nothing. It ends as well for who is signed out or lost their last role. While
    nothing happens a `beat` comes every 15 seconds: who hears none for much longer has lost the connection.
    """
    start = int(last_event_id) if last_event_id else after
    if start is None:
        with ctx.store.read() as view:
            start = view.log.head().sequence
    # A proxy that buffers the answer, as nginx does by default, would pass all of it on too late.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = _stream(ctx.store, who, request, start, seconds)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _stream(store: Store, who: Actor, request: Request, after: int, seconds: float) -> AsyncIterator[str]:
    deadline = anyio.current_time() + seconds
    yield "retry: 2000\n\n"
    beat = anyio.current_time()
    while True:
        entries, everything = await anyio.to_thread.run_sync(_since, store, who, after)
        if entries and not await anyio.to_thread.run_sync(_let_in, request):
            return
        for entry in entries:
            after = entry.sequence
            data = json.dumps({"verb": entry.verb, "subject": entry.subject if everything else None})
            yield f"id: {entry.sequence}\nevent: change\ndata: {data}\n\n"
        if anyio.current_time() - beat >= _BEAT_EVERY:
            beat = anyio.current_time()
            yield "event: beat\ndata:\n\n"
        if anyio.current_time() >= deadline or await request.is_disconnected():
            return
        await anyio.sleep(min(_LOOK_EVERY, max(0.0, deadline - anyio.current_time())))


def _let_in(request: Request) -> bool:
    """Whether the listener would still be let in: sessions end, and roles and accounts are removed."""
    try:
        guard(request)
    except (Unauthorized, Forbidden):
        return False
    return True


def _since(store: Store, who: Actor, after: int) -> tuple[list[Entry], bool]:
    """What came after an entry, and whether `who` sees every pipeline."""
    with store.read() as view:
        found = list(view.log.entries(after, limit=500))
        return found, bool(found) and sees_everything(view, who)
