"""The entries of a chat as pages show them. What a model or a tool wrote is never trusted to be a text of ours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from agent.chat import wire
from lifecycle.app.kit.markdown import answer_to_html, is_own_page

LONGEST_TEXT = 40_000  # characters of a text on a page; all of it has an address of its own
LONGEST_LINE = 80  # characters of an argument in its line
LONGEST_SHOWN = 3_000  # characters of a tool's output in the page; more is loaded when it is opened

Entry = wire.Said | wire.Reply | wire.ToolEntry | wire.Note

# The look and the word of each state of a call.
_STATES = {
    wire.CallState.RUNNING: ("running", "running"),
    wire.CallState.ASKING: ("pending", "waiting for you"),
    wire.CallState.DONE: ("approved", "done"),
    wire.CallState.FAILED: ("rejected", "failed"),
    wire.CallState.REFUSED: ("locked", "refused"),
    wire.CallState.STOPPED: ("draft", "stopped"),
    wire.CallState.UNKNOWN: ("stale", "outcome unknown"),
}


@dataclass(frozen=True, slots=True)
class Value:
    """An argument. `text` is it exactly: a text as it is, anything else as JSON. `long`: shown as a block."""

    name: str
    text: str

    @property
    def long(self) -> bool:
        return len(self.text) > LONGEST_LINE or "\n" in self.text


@dataclass(frozen=True, slots=True)
class CallView:
    """A tool call. `output` None: it is loaded from `output_url` when somebody opens it."""

    look: str
    word: str
    took: str
    values: tuple[Value, ...]
    output: str | None
    output_url: str
    links: tuple[wire.Link, ...]
    answer_url: str


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry. `mark` changes when what it shows does. `rest` says how much of a text is left out.

    `html` is a reply's. Of a reply that still grows it has the whole paragraphs; the last one is its `text`.
    """

    entry: Entry
    mark: str
    html: Markup
    text: str
    rest: int
    rest_url: str
    call: CallView | None

    @property
    def id(self) -> str:
        return f"entry-{self.entry.id}"


def entry_view(chat: str, entry: Entry) -> EntryView:
    """An entry of this chat."""
    text = entry.text if isinstance(entry, wire.Said | wire.Reply | wire.Note) else ""
    shown = text[:LONGEST_TEXT]
    html = Markup()
    if isinstance(entry, wire.Reply):
        whole = len(shown) if entry.done else _whole_paragraphs(shown)
        html, shown = answer_to_html(shown[:whole]), shown[whole:]
    return EntryView(
        entry=entry,
        mark=hashlib.sha256(entry.model_dump_json().encode()).hexdigest()[:16],
        html=html,
        text=shown,
        rest=max(0, len(text) - LONGEST_TEXT),
        rest_url=entry_url(chat, entry.id),
        call=_call(chat, entry) if isinstance(entry, wire.ToolEntry) else None,
    )


def entry_views(chat: wire.Chat) -> tuple[EntryView, ...]:
    """The entries of a page of a chat."""
    return tuple(entry_view(chat.id, one) for one in chat.entries)


def chat_url(chat: str) -> str:
    return f"/chats/{quote(chat, safe='')}"


def entry_url(chat: str, entry: int) -> str:
    """All of an entry's text."""
    return f"{chat_url(chat)}/entries/{entry}"


def ask_url(kind: str, name: object) -> str:
    """The page that begins a chat about something."""
    return f"/chats/new?about={quote(f'{kind}:{name}', safe=':')}"


def pretty(text: str) -> str:
    """JSON with a line for each value; anything else as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def plain(entry: Entry) -> str:
    """All of an entry as text."""
    if not isinstance(entry, wire.ToolEntry):
        return entry.text
    return pretty(entry.output) or entry.error


def _call(chat: str, entry: wire.ToolEntry) -> CallView:
    look, word = _STATES[entry.state]
    output = pretty(entry.output)
    return CallView(
        look=look,
        word=word,
        took=_took(entry.at, entry.ended_at),
        values=tuple(_values(entry.arguments.items())),
        output=output if len(output) <= LONGEST_SHOWN else None,
        output_url=f"{entry_url(chat, entry.id)}/output",
        links=tuple(one for one in entry.links if is_own_page(one.href)),
        answer_url=f"{chat_url(chat)}/calls/{entry.id}/answer",
    )


def _values(arguments: Iterable[tuple[str, Any]]) -> Iterable[Value]:
    for name, value in arguments:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield Value(name, text if isinstance(value, str) or len(text) <= LONGEST_LINE else pretty(text))


def _whole_paragraphs(text: str) -> int:
    """How much of a text ends with an empty line that is not in a block of code."""
    end, open_fence, at = 0, False, 0
    for line in text.splitlines(keepends=True):
        at += len(line)
        if line.lstrip().startswith("```"):
            open_fence = not open_fence
        if not open_fence and not line.strip():
            end = at
    return end


def _took(began: datetime, ended: datetime | None) -> str:
    if ended is None:
        return ""
    seconds = max(0.0, (ended - began).total_seconds())
    if seconds < 1:
        return f"{seconds * 1_000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
