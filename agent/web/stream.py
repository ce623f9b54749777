"""What happens in a chat, as it happens: the events of the chat process as parts of the page.

The stream begins with the whole chat, so a page is right however it was loaded and whatever it missed. When the chat
process ends, the stream says so, waits, and begins again with what the process kept.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import anyio
from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from agent.chat import wire
from agent.web.entry_view import LONGEST_TEXT, Entry, entry_view
from agent.web.pages import Process
from agent.web.process import ChatProcess
from agent.web.standing import standing
from drls_dagster.agent_settings import ChatBudget
from lifecycle.app.kit.guard import Visitor, Who, recognise
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.domain.roles import Role
from lifecycle.errors import LifecycleError, Unavailable
from lifecycle.usecases.context import Context

router = APIRouter()
_SECONDS = 300.0  # of one stream; the browser comes back
_BEAT_EVERY = 10.0
_AGAIN_AFTER = 1.0
_RENDER_EVERY = 0.5  # seconds between two renderings of an answer that grows
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@router.get("/chats/{chat}/stream", response_class=StreamingResponse)
def stream(ctx: Ctx, request: Request, who: Who, process: Process, chat: str) -> StreamingResponse:
    """The chat's entries and standing, as they change."""
    process.ask(ctx, who)
    told = _stream(ctx, request, who, process, chat)
    return StreamingResponse(told, media_type="text/event-stream", headers=_HEADERS)


async def _stream(ctx: Context, request: Request, who: Visitor, process: ChatProcess, chat: str) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _SECONDS
    queue: asyncio.Queue[BaseModel | LifecycleError] = asyncio.Queue(maxsize=100)
    reading = asyncio.create_task(_read(ctx, who, process, chat, queue))
    shown = _Shown(request, chat, process.budget)
    asked = loop.time()
    yield "retry: 1000\n\n"
    try:
        while loop.time() < deadline:
            event = None
            with suppress(TimeoutError):
                async with asyncio.timeout(_BEAT_EVERY):
                    event = await queue.get()
            if loop.time() - asked >= _BEAT_EVERY:
                asked = loop.time()
                if not await run_in_threadpool(_let_in, request):
                    return
            if event is None:
                yield "event: beat\ndata:\n\n"
                continue
            if isinstance(event, LifecycleError) and not isinstance(event, Unavailable):
                yield _frame("gone", {"why": event.message})
                return
            for name, data in await run_in_threadpool(shown.parts, event):
                yield _frame(name, data)
    finally:
        reading.cancel()
        # Its connection is closed before anything else ends, also when the reader has gone.
        with anyio.CancelScope(shield=True):
            await asyncio.wait([reading])


async def _read(
    ctx: Context, who: Visitor, process: ChatProcess, chat: str, queue: asyncio.Queue[BaseModel | LifecycleError]
) -> None:
    """Puts what the chat process says into the queue, and that it is away; ends with the first refusal."""
    while True:
        try:
            asking = await run_in_threadpool(process.ask, ctx, who)
            await run_in_threadpool(asking.chat, chat, limit=1)
            async with asking.events(chat) as events:
                async for event in events:
                    await queue.put(event)
        except Unavailable as away:
            await queue.put(away)
        except LifecycleError as refusal:
            await queue.put(refusal)
            return
        await asyncio.sleep(_AGAIN_AFTER)


@dataclass
class _Shown:
    """What the page of this stream shows of answers that grow."""

    request: Request
    chat: str
    budget: ChatBudget | None
    replies: dict[int, wire.Reply] = field(default_factory=dict[int, wire.Reply])
    rendered: dict[int, float] = field(default_factory=dict[int, float])

    def parts(self, event: BaseModel | LifecycleError) -> list[tuple[str, dict[str, Any]]]:
        """The events for the page."""
        match event:
            case Unavailable():
                return [("away", {"why": event.message})]
            case wire.ChatEvent(chat=chat):
                entries = [self._entry(one) for one in chat.entries]
                return [("entries", {"entries": entries}), ("bar", self._bar(chat.state, chat.usage))]
            case wire.EntryEvent(entry=entry):
                return [("entry", self._entry(entry))]
            case wire.TextEvent(entry=entry, text=text):
                return self._more(entry, text)
            case wire.StateEvent(state=state, usage=usage):
                return [("bar", self._bar(state, usage))]
            case _:
                return []

    def _more(self, entry: int, text: str) -> list[tuple[str, dict[str, Any]]]:
        before = self.replies.get(entry)
        if before is None or len(before.text) > LONGEST_TEXT:
            return []
        after = before.model_copy(update={"text": before.text + text})
        self.replies[entry] = after
        if "\n" in text and monotonic() - self.rendered.get(entry, 0.0) >= _RENDER_EVERY:
            return [("entry", self._entry(after))]
        return [("text", {"id": f"entry-{entry}", "text": text})]

    def _entry(self, entry: Entry) -> dict[str, Any]:
        if isinstance(entry, wire.Reply):
            self.replies[entry.id] = entry
            self.rendered[entry.id] = monotonic()
            if entry.done:
                del self.replies[entry.id]
        view = entry_view(self.chat, entry)
        return {"id": view.id, "mark": view.mark, "html": self._html("chats/entry.html", one=view, chat_id=self.chat)}

    def _bar(self, state: wire.ChatState, usage: wire.Usage) -> dict[str, Any]:
        return {"html": self._html("chats/bar.html", standing=standing(state, usage, self.budget), chat_id=self.chat)}

    def _html(self, template: str, **values: Any) -> str:
        return bytes(render(self.request, template, **values).body).decode()


def _let_in(request: Request) -> bool:
    """Whether the listener would still be let in: sessions end, and roles are removed."""
    del request.state.visitor
    recognise(request)
    visitor: Visitor | None = request.state.visitor
    return visitor is not None and visitor.has(Role.VIEWER)


def _frame(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
