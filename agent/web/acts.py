"""What people do in a chat: begin one, say something, confirm or refuse, stop."""

from __future__ import annotations

import secrets
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from agent.chat import wire
from agent.web.entry_view import chat_url
from agent.web.pages import Process, about_of
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.request import Ctx
from lifecycle.errors import Invalid

router = APIRouter()
Key = Annotated[str, Form(min_length=8, max_length=100)]
Text = Annotated[str, Form(max_length=wire.LONGEST_MESSAGE)]
Name = Annotated[str, Form(max_length=100)]
# The page's next message needs a key of its own.
NEXT_KEY = "X-Next-Key"


@router.post("/chats")
def begin(
    ctx: Ctx,
    request: Request,
    who: Who,
    process: Process,
    key: Key,
    text: Text = "",
    suggested: Text = "",
    model: Name = "",
    about: Annotated[str, Form(max_length=320)] = "",
) -> Response:
    """Begins a chat with its first message; `suggested`: the text of the button that was pressed."""
    said = _said(suggested or text)
    asking = process.ask(ctx, who)
    chat = asking.begin(wire.NewChat(model=model, about=about_of(about)))
    asking.say(chat.id, wire.Message(text=said, key=key))
    return done(request, chat_url(chat.id))


@router.post("/chats/{chat}/messages")
def say(
    ctx: Ctx, request: Request, who: Who, process: Process, chat: str, key: Key, text: Text = "", model: Name = ""
) -> Response:
    """Says something, and from then on to this model."""
    said = _said(text)
    asking = process.ask(ctx, who)
    if model and model != asking.chat(chat, limit=1).model:
        asking.change(chat, wire.ChatChange(model=model))
    asking.say(chat, wire.Message(text=said, key=key))
    return _stay(request, chat)


@router.post("/chats/{chat}/calls/{entry}/answer")
def answer(
    ctx: Ctx,
    request: Request,
    who: Who,
    process: Process,
    chat: str,
    entry: int,
    agree: Annotated[Literal["yes", "no"], Form()],
    digest: Annotated[str, Form(max_length=100)],
) -> Response:
    """Confirms or refuses a call with the arguments that were shown."""
    process.ask(ctx, who).answer(chat, entry, wire.Answer(agree=agree == "yes", digest=digest))
    return _stay(request, chat)


@router.post("/chats/{chat}/stop")
def stop(ctx: Ctx, request: Request, who: Who, process: Process, chat: str) -> Response:
    """Stops what the chat does now."""
    process.ask(ctx, who).stop(chat)
    return _stay(request, chat)


def _said(text: str) -> str:
    # Browsers send each line's end as two characters.
    said = text.replace("\r\n", "\n").strip()
    if not said:
        raise Invalid("the message is empty; write one first")
    return said


def _stay(request: Request, chat: str) -> Response:
    """The open page hears of it through its stream; without scripts it is loaded again."""
    if "hx-request" in request.headers:
        return Response(status_code=204, headers={NEXT_KEY: secrets.token_urlsafe(16)})
    return RedirectResponse(f"{chat_url(chat)}#end", 303)
