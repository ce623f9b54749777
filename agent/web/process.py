"""Asking the chat process: over its Unix socket, as the agent of the person who looks at a page."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from agent.chat import wire
from agent.web.setup import Lack
from drls_dagster.agent_settings import ChatBudget
from lifecycle.app.kit.guard import Visitor
from lifecycle.domain.people import PersonKind
from lifecycle.errors import Conflict, Forbidden, Invalid, LifecycleError, NotFound, TooMany, Unavailable
from lifecycle.usecases.agents import agent_token
from lifecycle.usecases.context import Context

Model = TypeVar("Model", bound=BaseModel)
_EVENT: TypeAdapter[Any] = TypeAdapter(wire.Event)
_ERRORS: dict[int, type[LifecycleError]] = {
    403: Forbidden, 404: NotFound, 409: Conflict, 422: Invalid, 429: TooMany,
}  # fmt: skip
# The process answers from its own store; a model is never waited for here, but in events.
_SECONDS = 10.0
_SILENT_SECONDS = 60.0


# What people's agents in chats are called.
AGENT = "trex"


def agent_token_of(context: Context, who: Visitor) -> str:
    """A token of the visitor's TRex, which ends with their session."""
    return agent_token(context, who.actor, AGENT, who.scopes).text


class Away(Unavailable):
    """The chat process does not listen."""

    code = "chat_away"

    def __init__(self) -> None:
        super().__init__(
            "the chat process is not running; drls up starts it, and restarts it when it ends: "
            "try again in a few seconds, or read drls logs agent"
        )


@dataclass(frozen=True)
class ChatProcess:
    """`socket` is where it listens; `token_of` makes the agent token of a person.

    `lack` says what is not set up, `budget` what one chat may use.
    """

    socket: Path
    token_of: Callable[[Context, Visitor], str] = agent_token_of
    lack: Lack | None = None
    budget: ChatBudget | None = None

    def ask(self, context: Context, who: Visitor) -> Asking:
        """What can be asked of it for this visitor. Raises Forbidden for whoever is no person."""
        if who.person.kind is not PersonKind.HUMAN:
            raise Forbidden("chats are for people: agents and service accounts use the MCP server, drls mcp")
        return Asking(self.socket, self.token_of(context, who), only=who.person.name)


@dataclass(frozen=True)
class Asking:
    """Requests with one person's agent token. `only`: whose chats are shown; an Admin could also read others'."""

    socket: Path
    token: str
    only: str = ""

    def models(self) -> wire.Models:
        return self._get(wire.Models, wire.MODELS)

    def chats(self, search: str = "", before: str = "", owner: str = "") -> wire.ChatPage:
        asked = {"search": search, "before": before, "owner": owner}
        return self._get(wire.ChatPage, wire.CHATS, {name: value for name, value in asked.items() if value})

    def chat(self, chat: str, *, before: int | None = None, limit: int | None = None) -> wire.Chat:
        """Raises NotFound, also for chats that are not shown here."""
        asked = {"before": before, "limit": limit}
        there = _at(wire.CHAT, chat=chat)
        found = self._get(wire.Chat, there, {name: value for name, value in asked.items() if value is not None})
        if self.only and found.owner != self.only:
            raise NotFound("there is no such chat; Chats shows yours")
        return found

    def entry(self, chat: str, entry: int) -> wire.Said | wire.Reply | wire.ToolEntry | wire.Note:
        """Raises NotFound."""
        found = self.chat(chat, before=entry + 1, limit=1).entries
        if not found or found[-1].id != entry:
            raise NotFound(f"there is no entry {entry} in this chat")
        return found[-1]

    def begin(self, chat: wire.NewChat) -> wire.ChatInfo:
        return self._post(wire.ChatInfo, wire.CHATS, chat)

    def change(self, chat: str, change: wire.ChatChange) -> wire.ChatInfo:
        body = change.model_dump(mode="json", exclude_none=True)
        return wire.ChatInfo.model_validate_json(self._send("PATCH", _at(wire.CHAT, chat=chat), json=body).content)

    def say(self, chat: str, message: wire.Message) -> wire.Begun:
        return self._post(wire.Begun, _at(wire.MESSAGES, chat=chat), message)

    def answer(self, chat: str, entry: int, answer: wire.Answer) -> None:
        self._send("POST", _at(wire.ANSWER, chat=chat, entry=str(entry)), json=answer.model_dump(mode="json"))

    def stop(self, chat: str) -> None:
        self._send("POST", _at(wire.STOP, chat=chat))

    @asynccontextmanager
    async def events(self, chat: str) -> AsyncIterator[AsyncIterator[BaseModel]]:
        """What happens in a chat, from the whole picture on. Raises Away when the process ends."""
        try:
            async with (
                httpx.AsyncClient(
                    transport=httpx.AsyncHTTPTransport(uds=str(self.socket)),
                    base_url="http://chat",
                    timeout=httpx.Timeout(_SECONDS, read=_SILENT_SECONDS),
                ) as client,
                client.stream("GET", _at(wire.EVENTS, chat=chat), headers=self._headers) as answer,
            ):
                if answer.is_error:
                    await answer.aread()
                    check(answer)
                yield _events(answer.aiter_lines())
        except httpx.TransportError:
            raise Away from None

    def check_there(self) -> None:
        """Raises Away where nobody listens: httpx would leave the socket open that it could not connect."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_SECONDS)
            try:
                probe.connect(str(self.socket))
            except OSError:
                raise Away from None

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def _get(self, kind: type[Model], path: str, asked: Mapping[str, str | int] | None = None) -> Model:
        return kind.model_validate_json(self._send("GET", path, params=dict(asked or {})).content)

    def _post(self, kind: type[Model], path: str, body: BaseModel) -> Model:
        return kind.model_validate_json(self._send("POST", path, json=body.model_dump(mode="json")).content)

    def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        self.check_there()
        transport = httpx.HTTPTransport(uds=str(self.socket))
        try:
            with httpx.Client(transport=transport, base_url="http://chat", timeout=_SECONDS) as client:
                answer = client.request(method, path, headers=self._headers, **given)
        except httpx.TransportError:
            raise Away from None
        check(answer)
        return answer


def _at(path: str, **values: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: quote(values[found[1]], safe=""), path)


def check(answer: httpx.Response) -> None:
    """Raises what the process refused, in its own words."""
    if not answer.is_error:
        return
    try:
        said = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        said = f"the chat process answered {answer.status_code}; drls logs agent says why"
    raise _ERRORS.get(answer.status_code, Unavailable)(said)


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[BaseModel]:
    async for line in lines:
        if line.startswith("data:") and (data := line.removeprefix("data:").strip()):
            try:
                yield _EVENT.validate_json(data)
            except ValidationError:
                continue  # A newer process says something that these pages do not show.
