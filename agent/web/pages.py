"""The pages of chats: the list, a new one, a chat, and all of an entry."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import PlainTextResponse, Response

from agent.chat import wire
from agent.web.entry_view import entry_views, plain
from agent.web.process import Away, ChatProcess
from agent.web.setup import Lack, what_to_set
from agent.web.standing import standing
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.paging import QueryText
from lifecycle.app.kit.parts import part
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.errors import Invalid

router = APIRouter()
Process = Annotated[ChatProcess, part(ChatProcess)]
About = Annotated[str, Query(max_length=320, pattern=r"^[^\x00]*$")]
Before = Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")]


# What people ask first, by what they look at.
SUGGESTIONS = {
    "": ("Which runs failed last, and why?", "What is in production now?", "Which tables have columns about delays?"),
    "run": ("Why did this run fail, and what should I do?", "What did this run read and write?"),
    "pipeline": ("What does this pipeline do?", "What changed in its last version?", "How did its last runs go?"),
    "request": ("What would this request change?", "What should a reviewer look at?"),
    "environment": ("What runs here, and since when?", "Is anything wrong here?"),
    "table": ("What is in this table, and who writes it?", "Is this table fresh and healthy?"),
}


@router.get("/chats")
def list_chats(
    ctx: Ctx, request: Request, who: Who, process: Process, q: QueryText = "", before: Before = ""
) -> Response:
    """The visitor's own chats, the last used first."""
    if process.lack:
        return _lacking(request, process.lack)
    asking = process.ask(ctx, who)
    try:
        models = asking.models()
        page = asking.chats(q.strip(), before)
    except Away as away:
        return _away(request, away)
    found = page.found or ("",) * len(page.items)
    lines = list(zip(page.items, found, strict=True))
    return render(request, "chats/list.html", lines=lines, next=page.next, q=q, lack=what_to_set(models))


@router.get("/chats/new")
def new_chat(ctx: Ctx, request: Request, who: Who, process: Process, about: About = "") -> Response:
    """A chat that begins with its first message. `about`: what it is about, such as pipeline:flights."""
    chosen = about_of(about)
    if process.lack:
        return _lacking(request, process.lack)
    asking = process.ask(ctx, who)
    try:
        models = asking.models()
    except Away as away:
        return _away(request, away)
    return render(
        request,
        "chats/new.html",
        models=models,
        about=chosen,
        given=about,
        suggestions=SUGGESTIONS[chosen.kind if chosen else ""],
        lack=what_to_set(models),
        longest=wire.LONGEST_MESSAGE,
    )


@router.get("/chats/{chat}")
def show_chat(
    ctx: Ctx,
    request: Request,
    who: Who,
    process: Process,
    chat: str,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Response:
    """A chat as it is now, also in the middle of an answer."""
    if process.lack:
        return _lacking(request, process.lack)
    asking = process.ask(ctx, who)
    try:
        shown, models = asking.chat(chat, before=before), asking.models()
    except Away as away:
        return _away(request, away)
    return render(
        request,
        "chats/chat.html",
        chat=shown,
        entries=entry_views(shown),
        models=models,
        standing=standing(shown.state, shown.usage, process.budget),
        older=shown.before,
        past=before is not None,
        lack=what_to_set(models),
        longest=wire.LONGEST_MESSAGE,
    )


@router.get("/chats/{chat}/entries/{entry}")
def show_entry(ctx: Ctx, who: Who, process: Process, chat: str, entry: int) -> Response:
    """All of an entry, as text that no browser takes for anything else."""
    found = process.ask(ctx, who).entry(chat, entry)
    return PlainTextResponse(plain(found), headers={"X-Content-Type-Options": "nosniff"})


@router.get("/chats/{chat}/entries/{entry}/output")
def show_output(ctx: Ctx, request: Request, who: Who, process: Process, chat: str, entry: int) -> Response:
    """What a tool answered, for its card."""
    found = process.ask(ctx, who).entry(chat, entry)
    return render(request, "chats/output.html", output=plain(found))


def about_of(text: str) -> wire.About | None:
    """What `kind:name` says. Raises Invalid."""
    if not text:
        return None
    kind, _, name = text.partition(":")
    try:
        return wire.About.model_validate({"kind": kind, "name": name})
    except ValidationError:
        raise Invalid(f"a chat cannot be about {text!r}; open one from a pipeline, run, request or table") from None


def _lacking(request: Request, lack: Lack) -> Response:
    return render(request, "chats/list.html", lines=(), next=None, q="", lack=lack)


def _away(request: Request, away: Away) -> Response:
    return render(request, "chats/away.html", status=away.status, why=away.message)
