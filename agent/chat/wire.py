"""What the chat process answers: chats, their entries, events while a turn runs, and its routes.

The chat process listens on a private Unix socket. Each request carries `Authorization: Bearer TOKEN`, the person's
agent token; the newest one is what a running turn acts with. Errors are problem+json, as in the rest of DRLS.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# GET: Models
MODELS = "/models"
# GET ?search= &before= &limit= &owner= (owner: for Admins): ChatPage. POST NewChat: 201 ChatInfo.
CHATS = "/chats"
# GET ?before= &limit=: Chat, the newest entries. PATCH ChatChange: ChatInfo.
CHAT = "/chats/{chat}"
# POST Message: 202 Begun; with `Accept: text/event-stream` the events of the turn, up to `end`.
MESSAGES = "/chats/{chat}/messages"
# GET: server-sent events; resumes after Last-Event-ID. They begin with `chat` where they cannot resume.
EVENTS = "/chats/{chat}/events"
# POST Answer: 204; 409 when the question is over.
ANSWER = "/chats/{chat}/calls/{entry}/answer"
# POST: 204, also when nothing runs.
STOP = "/chats/{chat}/stop"

LONGEST_MESSAGE = 32_000  # characters
MOST_ENTRIES = 200  # of a page


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class About(_Body):
    """What a chat was opened from: a run by its id, a request by its number, anything else by its name."""

    kind: Literal["run", "table", "pipeline", "request", "environment"]
    name: Annotated[str, Field(min_length=1, max_length=300)]


class NewChat(_Body):
    """`model`: a name from Models; empty for the default."""

    model: Annotated[str, Field(max_length=100)] = ""
    title: Annotated[str, Field(max_length=200)] = ""
    about: About | None = None


class ChatChange(_Body):
    """What to change; a model counts from the next message on."""

    model: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class Message(_Body):
    """What the person says. The same `key` again answers with the turn that it began."""

    text: Annotated[str, Field(min_length=1, max_length=LONGEST_MESSAGE)]
    key: Annotated[str, Field(max_length=100)] | None = None


class Answer(_Body):
    """The person's answer to a question. `digest` is the question's, so that nobody agrees to other arguments."""

    agree: bool
    digest: Annotated[str, Field(max_length=100)]


class ModelInfo(_Wire):
    """A configured model. `missing` says what to set where it cannot be used; empty otherwise."""

    name: str
    is_default: bool
    missing: str = ""


class Models(_Wire):
    """`missing` says what to set where no model can be used."""

    models: tuple[ModelInfo, ...]
    missing: str = ""


class Usage(_Wire):
    """What a chat has used. `money` in US dollars; None where a model has no known price."""

    tokens: int = 0
    money: float | None = 0.0
    steps: int = 0
    seconds: float = 0.0


class ChatState(StrEnum):
    """IDLE takes a message; WORKING and ASKING (for a confirmation) take `stop`."""

    IDLE = "idle"
    WORKING = "working"
    ASKING = "asking"


class Link(_Wire):
    """A page of this site that belongs to a call: a run, table, pipeline or request."""

    label: str
    href: str


class CallState(StrEnum):
    """REFUSED: the person said no, or did not answer in time. UNKNOWN: the process ended before the answer came."""

    RUNNING = "running"
    ASKING = "asking"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


class Question(_Wire):
    """A confirmation that a call waits for. The exact arguments are the call's own `arguments`."""

    text: str
    digest: str
    expires_at: datetime


class Said(_Wire):
    """What the person said."""

    kind: Literal["said"] = "said"
    id: int
    at: datetime
    text: str


class Reply(_Wire):
    """What the model said, in Markdown without images and without links to other sites."""

    kind: Literal["reply"] = "reply"
    id: int
    at: datetime
    text: str
    model: str
    done: bool


class ToolEntry(_Wire):
    """A tool call. `arguments` and `output` (JSON as text) are shown without secrets; `said_yes`: who agreed to it."""

    kind: Literal["call"] = "call"
    id: int
    at: datetime
    ended_at: datetime | None = None
    tool: str
    title: str
    changes: bool
    arguments: dict[str, Any]
    state: CallState
    question: Question | None = None
    said_yes: str = ""
    progress: str = ""
    output: str = ""
    error: str = ""
    links: tuple[Link, ...] = ()


class Note(_Wire):
    """What happened to the chat: stopped, over a budget, another model, a restart."""

    kind: Literal["note"] = "note"
    id: int
    at: datetime
    text: str
    is_problem: bool = False


Entry = Annotated[Said | Reply | ToolEntry | Note, Field(discriminator="kind")]


class ChatInfo(_Wire):
    """A chat without its entries. `owner` is the person's account."""

    id: str
    title: str
    model: str
    owner: str
    about: About | None = None
    state: ChatState
    created_at: datetime
    updated_at: datetime
    usage: Usage = Usage()


class Chat(ChatInfo):
    """With its newest entries, oldest first; `before` asks for those before them."""

    entries: tuple[Entry, ...]
    before: int | None = None


class ChatPage(_Wire):
    """Chats, the last used first; `next` is the `before` of the next page. `found`: text around what was searched."""

    items: tuple[ChatInfo, ...]
    found: tuple[str, ...] = ()
    next: str | None = None


class Begun(_Wire):
    """A turn that began; `entry` is the message."""

    chat: str
    entry: int


class ChatEvent(_Wire):
    """The whole picture: show this instead of what was shown."""

    event: Literal["chat"] = "chat"
    chat: Chat


class EntryEvent(_Wire):
    """A new entry, or one that changed: show it in place of the one with its id."""

    event: Literal["entry"] = "entry"
    entry: Entry


class TextEvent(_Wire):
    """More text of a reply, to be put at its end."""

    event: Literal["text"] = "text"
    entry: int
    text: str


class StateEvent(_Wire):
    """The chat's state and usage changed."""

    event: Literal["state"] = "state"
    state: ChatState
    usage: Usage


class EndEvent(_Wire):
    """The turn is over, and with it the stream that a message opened."""

    event: Literal["end"] = "end"


Event = Annotated[ChatEvent | EntryEvent | TextEvent | StateEvent | EndEvent, Field(discriminator="event")]


def frame(number: str, event: BaseModel) -> str:
    """An event as server-sent text: its id, its name, and JSON."""
    name: str = event.event  # type: ignore[attr-defined]
    return f"id: {number}\nevent: {name}\ndata: {event.model_dump_json()}\n\n"
