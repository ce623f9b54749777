"""The chats over REST, below /api/agent. POST /api/agent/chat says something and streams what comes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, cast
from urllib.parse import quote

import httpx
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from agent.chat import wire
from agent.web.process import AGENT, Asking, Away, ChatProcess, check
from lifecycle.app.kit.parts import part
from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.rest.guard import Who
from lifecycle.app.kit.section import Api
from lifecycle.domain.credentials import TokenScope
from lifecycle.errors import Refused
from lifecycle.usecases.agents import agent_token
from lifecycle.verbs.table import READ, SELF

router = APIRouter(prefix="/api/agent", tags=["agent"])
_CONNECT_SECONDS = 10.0
_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "Events: chat, entry, text, state, end"}
}
# A message of the longest size, as JSON escapes it.
_LARGE = 256 * 1024


class ChatMessage(wire.Message):
    """A message to a chat; without `chat` to a new one, with this model and about this."""

    chat: Annotated[str, Field(max_length=100)] = ""
    model: Annotated[str, Field(max_length=100)] = ""
    about: wire.About | None = None


def asking_of(ctx: Ctx, request: Request, who: Who, process: Annotated[ChatProcess, part(ChatProcess)]) -> Asking:
    """The chat process, asked as the caller's agent. Raises Forbidden for callers who are no people."""
    if process.lack is not None:
        raise Refused(f"{process.lack.why} {' '.join(process.lack.lines.split())}".strip())
    scopes = cast("frozenset[TokenScope]", request.state.scopes)
    return Asking(process.socket, agent_token(ctx, who, AGENT, scopes).text)


Asks = Annotated[Asking, Depends(asking_of)]


@router.get("/models")
def models(asking: Asks) -> wire.Models:
    """The models that a chat can use."""
    return asking.models()


@router.get("/chats")
def chats(
    asking: Asks,
    search: Annotated[str, Query(max_length=200)] = "",
    before: Annotated[str, Query(max_length=100)] = "",
    owner: Annotated[str, Query(max_length=200)] = "",
) -> wire.ChatPage:
    """The caller's chats, the last used first. Admins may name an owner, `*` for everybody."""
    return asking.chats(search, before, owner)


@router.post("/chats", status_code=201)
def begin(asking: Asks, body: wire.NewChat) -> wire.ChatInfo:
    """A new chat."""
    return asking.begin(body)


@router.get("/chats/{chat}")
def chat(
    asking: Asks,
    chat: str,
    before: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int | None, Query(ge=1, le=wire.MOST_ENTRIES)] = None,
) -> wire.Chat:
    """A chat with its newest entries, or those before an entry."""
    return asking.chat(chat, before=before, limit=limit)


@router.patch("/chats/{chat}")
def change(asking: Asks, chat: str, body: wire.ChatChange) -> wire.ChatInfo:
    """Sets the title or the model."""
    return asking.change(chat, body)


@router.post("/chats/{chat}/messages", status_code=202)
def say(asking: Asks, chat: str, body: wire.Message) -> wire.Begun:
    """Says something; the events show what comes of it. The same `key` again says it once."""
    return asking.say(chat, body)


@router.get("/chats/{chat}/events", response_class=StreamingResponse, responses=_EVENTS)
async def events(request: Request, asking: Asks, chat: str) -> Response:
    """What happens in a chat, as server-sent events; resumes after Last-Event-ID."""
    last = request.headers.get("last-event-id", "")
    return await _stream(asking, "GET", _at(wire.EVENTS, chat), headers={"Last-Event-ID": last} if last else {})


@router.post("/chats/{chat}/calls/{entry}/answer", status_code=204)
def answer(asking: Asks, chat: str, entry: int, body: wire.Answer) -> None:
    """Answers a confirmation that a tool call waits for."""
    asking.answer(chat, entry, body)


@router.post("/chats/{chat}/stop", status_code=204)
def stop(asking: Asks, chat: str) -> None:
    """Stops what the chat is doing."""
    asking.stop(chat)


@router.post("/chat", response_class=StreamingResponse, responses=_EVENTS)
async def talk(asking: Asks, body: ChatMessage) -> Response:
    """Says something in a chat, or in a new one, and streams the turn as server-sent events, up to `end`.

    The first event is the chat; the work continues when the reader leaves.
    """
    name = body.chat
    if not name:
        name = (await run_in_threadpool(asking.begin, wire.NewChat(model=body.model, about=body.about))).id
    first = wire.ChatEvent(chat=await run_in_threadpool(asking.chat, name))
    message = wire.Message(text=body.text, key=body.key)
    return await _stream(
        asking,
        "POST",
        _at(wire.MESSAGES, name),
        first=f"event: chat\ndata: {first.model_dump_json()}\n\n",
        headers={"Accept": "text/event-stream"},
        json=message.model_dump(mode="json"),
    )


def _at(path: str, chat: str) -> str:
    return path.replace("{chat}", quote(chat, safe=""))


async def _stream(asking: Asking, method: str, path: str, *, first: str = "", **given: Any) -> Response:
    """What the process streams, as it comes. Raises what it refuses."""
    await run_in_threadpool(asking.check_there)
    client = httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=str(asking.socket)),
        base_url="http://chat",
        timeout=httpx.Timeout(_CONNECT_SECONDS, read=None),
        headers={"Authorization": f"Bearer {asking.token}"},
    )
    try:
        sent = await client.send(client.build_request(method, path, **given), stream=True)
    except httpx.TransportError:
        await client.aclose()
        raise Away from None
    if sent.is_error:
        await sent.aread()
        await client.aclose()
        check(sent)

    async def parts() -> AsyncIterator[bytes]:
        try:
            if first:
                yield first.encode()
            async for one in sent.aiter_raw():
                yield one
        except httpx.TransportError:
            return  # The reader comes back with Last-Event-ID.
        finally:
            await sent.aclose()
            await client.aclose()

    return StreamingResponse(parts(), headers=_STREAM, media_type="text/event-stream")


_CHAT = "/api/agent/chats/{chat}"
API = Api(
    (router,),
    {
        ("GET", "/api/agent/models"): READ,
        ("GET", "/api/agent/chats"): READ,
        ("POST", "/api/agent/chats"): SELF,
        ("GET", _CHAT): READ,
        ("PATCH", _CHAT): SELF,
        ("POST", f"{_CHAT}/messages"): SELF,
        ("GET", f"{_CHAT}/events"): READ,
        ("POST", f"{_CHAT}/calls/{{entry}}/answer"): SELF,
        ("POST", f"{_CHAT}/stop"): SELF,
        ("POST", "/api/agent/chat"): SELF,
    },
    {("POST", "/api/agent/chat"): _LARGE, ("POST", f"{_CHAT}/messages"): _LARGE},
)
