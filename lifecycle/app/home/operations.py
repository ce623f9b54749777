"""The stream of an operation on a table: how far it is, as it changes, until it is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import StreamingResponse

from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.rest.guard import Who, guard
from lifecycle.domain.operations import Operation
from lifecycle.domain.people import Actor
from lifecycle.errors import Forbidden, LifecycleError, Unauthorized, Unavailable
from lifecycle.usecases.context import Context
from lifecycle.usecases.operate_table import show_operation

router = APIRouter(prefix="/api", tags=["maintenance"])
_LOOK_EVERY = 0.5
_BEAT_EVERY = 15.0


@router.get(
    "/operations/{operation_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events"}},
)
def operation_events(
    ctx: Ctx,
    who: Who,
    request: Request,
    operation_id: Annotated[int, Path(ge=1, le=2**53)],
    seconds: Annotated[float, Query(ge=0, le=3600)] = 300,
) -> StreamingResponse:
    """The operation, as GET /api/operations/{operation_id} has it: now, and each time that it changed.

    It ends with the event `end` when the operation is over, and after `seconds`; browsers then come back. While nothing
    changes a `beat` comes every 15 seconds.
    """
    first = show_operation(ctx, who, operation_id)
    # A proxy that buffers the answer would pass all of it on too late.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _stream(ctx, who, request, first, seconds), media_type="text/event-stream", headers=headers
    )


async def _stream(ctx: Context, who: Actor, request: Request, first: Operation, seconds: float) -> AsyncIterator[str]:
    deadline = anyio.current_time() + seconds
    yield "retry: 2000\n\n"
    now, said = first, ""
    beat = anyio.current_time()
    while True:
        text = now.model_dump_json()
        if text != said:
            said, beat = text, anyio.current_time()
            yield f"event: {'end' if now.state.is_over else 'change'}\ndata: {text}\n\n"
        if now.state.is_over:
            return
        if anyio.current_time() - beat >= _BEAT_EVERY:
            beat = anyio.current_time()
            yield "event: beat\ndata:\n\n"
            if not await anyio.to_thread.run_sync(_let_in, request):
                return
        if anyio.current_time() >= deadline or await request.is_disconnected():
            return
        await anyio.sleep(min(_LOOK_EVERY, max(0.0, deadline - anyio.current_time())))
        try:
            now = await anyio.to_thread.run_sync(show_operation, ctx, who, first.id)
        except Unavailable:
            continue
        except LifecycleError:
            return


def _let_in(request: Request) -> bool:
    """Whether the listener would still be let in."""
    try:
        guard(request)
    except (Unauthorized, Forbidden):
        return False
    return True
