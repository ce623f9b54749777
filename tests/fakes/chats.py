"""A chat process that does what a test says: its wire on a Unix socket, without a model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from agent.chat import wire
from tests.waiting import wait_until

MODELS = wire.Models(
    models=(
        wire.ModelInfo(name="small", is_default=True),
        wire.ModelInfo(name="large", is_default=False),
        wire.ModelInfo(name="other", is_default=False, missing="set OTHER_KEY"),
    )
)
STARTED = datetime(2026, 3, 2, 9, tzinfo=UTC)


class FakeChats:
    """Chats of the people whose tokens are `token-NAME`. A test plays the model with `add`, `put`, `text` and `state`."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.models = MODELS
        self.admins: tuple[str, ...] = ()
        self.chats: dict[str, wire.Chat] = {}
        self.answers: list[wire.Answer] = []
        self.stopped: list[str] = []
        self._heard: dict[str, list[asyncio.Queue[Any]]] = {}
        self._next = 1
        self.app = self._make()

    # --- What a test says ---

    def start(self) -> None:
        config = uvicorn.Config(
            self.app, uds=str(self.socket), log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, 10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve()

    def stop(self) -> None:
        """As when the process ends."""
        for queue in [one for heard in self._heard.values() for one in heard]:
            self._loop.call_soon_threadsafe(queue.put_nowait, None)
        self._server.should_exit = True
        self._thread.join(15)
        assert not self._thread.is_alive()
        self.socket.unlink(missing_ok=True)

    @property
    def only(self) -> str:
        """The id of the only chat."""
        (found,) = self.chats
        return found

    def begin(self, owner: str, title: str = "", **values: Any) -> str:
        name = f"c{len(self.chats) + 1}"
        self.chats[name] = wire.Chat(
            **{
                "id": name, "title": title, "model": "small", "owner": owner, "state": wire.ChatState.IDLE,
                "created_at": STARTED, "updated_at": STARTED, "entries": (), **values,
            }
        )  # fmt: skip
        return name

    def add(self, chat: str, kind: type[Any], **values: Any) -> int:
        """A new entry."""
        entry = kind(id=self._next, **{"at": STARTED, **values})
        self._next += 1
        self._keep(chat, entries=(*self.chats[chat].entries, entry))
        self._tell(chat, wire.EntryEvent(entry=entry))
        return entry.id

    def put(self, chat: str, entry: int, **values: Any) -> None:
        """Changes an entry."""
        entries = tuple(one.model_copy(update=values) if one.id == entry else one for one in self.chats[chat].entries)
        self._keep(chat, entries=entries)
        (found,) = [one for one in entries if one.id == entry]
        self._tell(chat, wire.EntryEvent(entry=found))

    def text(self, chat: str, entry: int, text: str) -> None:
        """More of a reply."""
        entries = tuple(
            one.model_copy(update={"text": one.text + text}) if isinstance(one, wire.Reply) and one.id == entry else one
            for one in self.chats[chat].entries
        )
        self._keep(chat, entries=entries)
        self._tell(chat, wire.TextEvent(entry=entry, text=text))

    def state(self, chat: str, state: wire.ChatState, usage: wire.Usage | None = None) -> None:
        self._keep(chat, state=state, usage=usage or self.chats[chat].usage)
        self._tell(chat, wire.StateEvent(state=state, usage=self.chats[chat].usage))

    def reply(self, chat: str, text: str, *, done: bool = True) -> int:
        return self.add(chat, wire.Reply, text=text, model="small", done=done)

    def call(self, chat: str, tool: str, state: wire.CallState, **values: Any) -> int:
        given = {"title": tool.replace("_", " ").capitalize(), "changes": False, "arguments": {}, **values}
        return self.add(chat, wire.ToolEntry, tool=tool, state=state, **given)

    def question(self, text: str) -> wire.Question:
        return wire.Question(text=text, digest="d-1", expires_at=datetime.now(UTC) + timedelta(minutes=10))

    def _keep(self, chat: str, **values: Any) -> None:
        self.chats[chat] = self.chats[chat].model_copy(update=values)

    def _tell(self, chat: str, event: Any) -> None:
        for queue in self._heard.get(chat, ()):
            self._loop.call_soon_threadsafe(queue.put_nowait, event)

    # --- Its routes ---

    def _make(self) -> FastAPI:
        app = FastAPI()

        def mine(request: Request, chat: str) -> wire.Chat | None:
            found = self.chats.get(chat)
            return found if found and owner_of(request) in (found.owner, *self.admins) else None

        def owner_of(request: Request) -> str:
            return request.headers["authorization"].removeprefix("Bearer token-")

        @app.get(wire.MODELS)
        def models() -> wire.Models:
            return self.models

        @app.get(wire.CHATS)
        def chats(request: Request, search: str = "", before: str = "") -> wire.ChatPage:
            found = [
                one for one in self.chats.values()
                if one.owner == owner_of(request) and search in one.title + "".join(getattr(e, "text", "") for e in one.entries)
            ]  # fmt: skip
            infos = tuple(wire.ChatInfo.model_validate(one.model_dump()) for one in found)
            return wire.ChatPage(items=infos, found=tuple(f"…{search}…" if search else "" for _ in infos))

        @app.post(wire.CHATS, status_code=201)
        def begin(request: Request, new: wire.NewChat) -> wire.ChatInfo:
            chat = self.begin(owner_of(request), about=new.about)
            if new.model:
                self._keep(chat, model=new.model)
            return wire.ChatInfo.model_validate(self.chats[chat].model_dump())

        @app.get(wire.CHAT)
        def chat_of(request: Request, chat: str, before: int | None = None, limit: int = 200) -> Any:
            found = mine(request, chat)
            if found is None:
                return no(404, f"there is no chat {chat}")
            entries = [one for one in found.entries if before is None or one.id < before]
            shown = tuple(entries[-limit:])
            return found.model_copy(update={"entries": shown, "before": shown[0].id if len(entries) > limit else None})

        @app.patch(wire.CHAT)
        def change(request: Request, chat: str, change: wire.ChatChange) -> Any:
            if change.model:
                self._keep(chat, model=change.model)
            return wire.ChatInfo.model_validate(self.chats[chat].model_dump())

        @app.post(wire.MESSAGES, status_code=202)
        def say(request: Request, chat: str, message: wire.Message) -> Any:
            found = mine(request, chat)
            if found is None:
                return no(404, f"there is no chat {chat}")
            if found.state is not wire.ChatState.IDLE:
                return no(409, "this chat is still working; stop it or wait")
            if not found.title:
                self._keep(chat, title=message.text[:60])
            entry = self.add(chat, wire.Said, text=message.text)
            self.state(chat, wire.ChatState.WORKING)
            return wire.Begun(chat=chat, entry=entry)

        @app.post(wire.ANSWER, status_code=204)
        def answer(request: Request, chat: str, entry: int, answer: wire.Answer) -> Response:
            if mine(request, chat) is None:
                return no(404, f"there is no chat {chat}")
            if answer.digest != "d-1":
                return no(409, "the question is over")
            self.answers.append(answer)
            state = wire.CallState.RUNNING if answer.agree else wire.CallState.REFUSED
            self.put(
                chat,
                entry,
                state=state,
                said_yes=owner_of(request) if answer.agree else "",
                ended_at=None if answer.agree else STARTED,
            )
            self.state(chat, wire.ChatState.WORKING)
            return Response(status_code=204)

        @app.post(wire.STOP, status_code=204)
        def stop(request: Request, chat: str) -> Response:
            if mine(request, chat) is None:
                return no(404, f"there is no chat {chat}")
            self.stopped.append(chat)
            self.add(chat, wire.Note, text="Stopped by you.")
            self.state(chat, wire.ChatState.IDLE)
            return Response(status_code=204)

        @app.get(wire.EVENTS)
        async def events(request: Request, chat: str) -> Response:
            found = mine(request, chat)
            if found is None:
                return no(404, f"there is no chat {chat}")
            queue: asyncio.Queue[Any] = asyncio.Queue()
            self._heard.setdefault(chat, []).append(queue)

            async def told() -> AsyncIterator[str]:
                try:
                    yield wire.frame("0", wire.ChatEvent(chat=self.chats[chat]))
                    while (event := await queue.get()) is not None:
                        yield wire.frame("1", event)
                finally:
                    self._heard[chat].remove(queue)

            return StreamingResponse(told(), media_type="text/event-stream")

        return app


def no(status: int, detail: str) -> Response:
    return JSONResponse(
        {"detail": detail, "code": "no", "status": status}, status, media_type="application/problem+json"
    )
