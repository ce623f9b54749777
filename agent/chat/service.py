"""The chats of an installation, for whoever shows a token: the process of `drls up`, and `drls agent chat`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pydantic import BaseModel

from agent.chat import wire
from agent.chat.feed import Feed
from agent.chat.model import ModelClient
from agent.chat.store.store import ChatStore
from agent.chat.telling import Telling
from agent.chat.turn import Means, Turn
from agent.tools.call import ToolCall
from agent.tools.callers import Callers
from drls_dagster.errors import DrlsError
from drls_dagster.redact import known_secrets, redact_text
from drls_dagster.settings import Settings
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict, Forbidden, NotFound

# As `me` has it.
ADMIN = f"{Role.ADMIN.value} on everything"
# How long a reader may keep reading after their session or token has ended.
RECHECK_SECONDS = 30.0
_TOOLS_AT_ONCE = 16
_TURNS_AT_ONCE = 8
_TITLE = 80
_FEEDS = 500
_NONE = "there is no such chat"


@dataclass
class _Shown:
    """The newest token that a turn's person showed."""

    token: str

    def __repr__(self) -> str:
        return "_Shown()"


@dataclass(frozen=True)
class _Working:
    turn: Turn
    shown: _Shown
    task: asyncio.Task[None]


class ChatService:
    """Everything that the routes and the command ask. Whoever is no Admin knows of no chats but their own."""

    def __init__(self, settings: Settings, callers: Callers, store: ChatStore, models: ModelClient) -> None:
        self._settings, self._callers, self._store, self._models = settings, callers, store, models
        self._threads = ThreadPoolExecutor(_TOOLS_AT_ONCE, thread_name_prefix="tool")
        self._feeds: dict[str, Feed] = {}
        self._working: dict[str, _Working] = {}

    async def models(self, token: str) -> wire.Models:
        await self._person(token)
        return await asyncio.to_thread(self._models.known)

    async def chats(
        self, token: str, *, search: str = "", before: str | None = None, limit: int = 50, owner: str | None = None
    ) -> wire.ChatPage:
        """The caller's chats; those of `owner` (`*`: everybody) for Admins."""
        person = await self._person(token)
        if owner is not None and owner != person:
            if not await asyncio.to_thread(self._is_admin, token):
                raise Forbidden("only an Admin sees other people's chats")
            person = None if owner == "*" else owner
        return await asyncio.to_thread(self._store.list, person, search, before, limit)

    async def begin(self, token: str, given: wire.NewChat) -> wire.ChatInfo:
        person = await self._person(token)
        model = self._models.named(given.model)
        title = self._clean(given.title) or _about_title(given.about) or "New chat"
        chat = await asyncio.to_thread(self._store.begin, person, model, title, given.about)
        return await asyncio.to_thread(self._store.info, chat)

    async def chat(self, token: str, chat: str, *, before: int | None = None, limit: int = 100) -> wire.Chat:
        info = await self._readable(token, chat)
        feed = self._feed(chat)
        growing = feed.growing
        whole = await asyncio.to_thread(self._whole, info, before, limit)
        # One that ended meanwhile is shown as far as it was.
        return _grown(whole, growing | feed.growing)

    async def change(self, token: str, chat: str, given: wire.ChatChange) -> wire.ChatInfo:
        await self._own(token, chat)
        values = {"model": self._models.named(given.model)} if given.model else {}
        values |= {"title": self._clean(given.title)} if given.title else {}
        await asyncio.to_thread(lambda: self._store.change(chat, **values))
        return await asyncio.to_thread(self._store.info, chat)

    async def say(self, token: str, chat: str, message: wire.Message) -> tuple[wire.Begun, int]:
        """Begins a turn; also the number of the last event before it. Raises Conflict while another runs."""
        info = await self._own(token, chat)
        if info.model not in {one.name for one in self._models.known().models}:
            raise Conflict(f"the model {info.model} is no longer configured; choose another one for this chat")
        if len(self._working) >= _TURNS_AT_ONCE:
            raise Conflict("too many chats are at work; try again when one has ended")
        feed = self._feed(chat)
        after = feed.number
        text = self._clean(message.text)
        said, is_new = await asyncio.to_thread(self._store.open_turn, chat, text, message.key)
        if is_new:
            if said.id == 1 and info.title == "New chat":
                title = " ".join(text.split())[:_TITLE]
                await asyncio.to_thread(lambda: self._store.change(chat, title=title))
            feed.publish(wire.EntryEvent(entry=said))
            self._start(info, said, _Shown(token), feed)
        return wire.Begun(chat=chat, entry=said.id), after

    def _start(self, info: wire.ChatInfo, said: wire.Said, shown: _Shown, feed: Feed) -> None:
        telling = Telling(
            info,
            said.id,
            self._store,
            feed,
            own=self._settings.app_url,
            secrets=known_secrets(self._settings),
        )

        def call_of() -> ToolCall:
            return self._callers.call(self._callers.agent_of(shown.token))

        turn = Turn(telling, Means(self._settings.agent, self._models, call_of, self._threads))
        task = asyncio.create_task(turn.run())
        self._working[info.id] = _Working(turn, shown, task)
        task.add_done_callback(lambda _: self._working.pop(info.id, None))

    async def answer(self, token: str, chat: str, entry: int, given: wire.Answer) -> None:
        """Raises Conflict when the question is over, or was of other arguments."""
        await self._own(token, chat)
        working = self._working.get(chat)
        if working is not None:
            # What was agreed to now may still run when the token of the message has expired.
            working.shown.token = token
        if working is None or not working.turn.answer(entry, given.digest, agree=given.agree):
            raise Conflict("this question is over; look at the chat again")

    async def stop(self, token: str, chat: str) -> None:
        await self._own(token, chat)
        if (working := self._working.get(chat)) is not None:
            working.turn.stop()

    async def events(
        self, token: str, chat: str, *, last: str = "", after: int | None = None, until_end: bool = False
    ) -> AsyncIterator[tuple[str, BaseModel] | None]:
        """What happens, with ids, from behind `last` or `after` on; the whole picture first where that is gone.

        None is nothing for a while.
        """
        info = await self._readable(token, chat)
        return self._events(token, info, last, after, until_end=until_end)

    async def _events(
        self, token: str, info: wire.ChatInfo, last: str, after: int | None, *, until_end: bool
    ) -> AsyncIterator[tuple[str, BaseModel] | None]:
        feed = self._feed(info.id)
        number = feed.after(last) if last else after
        checked = time.monotonic()
        while True:
            if number is None:
                # Of one moment: the texts that come after it are added to these.
                number, growing = feed.number, feed.growing
                info = await asyncio.to_thread(self._store.info, info.id)
                whole = await asyncio.to_thread(self._whole, info, None, 100)
                yield feed.name(number), wire.ChatEvent(chat=_grown(whole, growing))
            async for one in feed.read(number):
                if time.monotonic() - checked > RECHECK_SECONDS:
                    try:
                        await self._readable(token, info.id)
                    except DrlsError:
                        return
                    checked = time.monotonic()
                if one is None:
                    yield None
                    continue
                yield feed.name(one[0]), one[1]
                if until_end and isinstance(one[1], wire.EndEvent):
                    return
            number = None

    async def close(self) -> None:
        """Stops every turn; each says so in its transcript."""
        working = list(self._working.values())
        for one in working:
            one.turn.stop()
        if working:
            await asyncio.wait([one.task for one in working], timeout=5)
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._models.close()
        self._callers.close()
        self._store.close()

    # Whose chats.

    async def _person(self, token: str) -> str:
        """Raises Unauthorized."""
        return (await asyncio.to_thread(self._callers.agent_of, token)).person

    async def _own(self, token: str, chat: str) -> wire.ChatInfo:
        """Raises NotFound for other people's."""
        person = await self._person(token)
        info = await asyncio.to_thread(self._store.info, chat)
        if info.owner != person:
            raise NotFound(_NONE)
        return info

    async def _readable(self, token: str, chat: str) -> wire.ChatInfo:
        """The caller's own, or for Admins anybody's."""
        person = await self._person(token)
        info = await asyncio.to_thread(self._store.info, chat)
        if info.owner != person and not await asyncio.to_thread(self._is_admin, token):
            raise NotFound(_NONE)
        return info

    def _is_admin(self, token: str) -> bool:
        call = self._callers.call(self._callers.agent_of(token))
        return ADMIN in call.lifecycle.people.me().roles

    # Parts.

    def _whole(self, info: wire.ChatInfo, before: int | None, limit: int) -> wire.Chat:
        found = [one.entry for one in self._store.entries(info.id, before, limit + 1)]
        more, entries = len(found) > limit, tuple(found[-limit:])
        return wire.Chat(**dict(info), entries=entries, before=entries[0].id if more else None)

    def _feed(self, chat: str) -> Feed:
        if chat not in self._feeds and len(self._feeds) >= _FEEDS:
            for name in [one for one, feed in self._feeds.items() if one not in self._working and not feed.is_read]:
                del self._feeds[name]
        return self._feeds.setdefault(chat, Feed())

    def _clean(self, text: str) -> str:
        """People also paste secrets."""
        return redact_text(text, known_secrets(self._settings))


def _about_title(about: wire.About | None) -> str:
    return f"{about.kind.capitalize()} {about.name}"[:_TITLE] if about else ""


def _grown(chat: wire.Chat, growing: dict[int, wire.Reply]) -> wire.Chat:
    """The chat with the texts of answers that are not whole."""
    entries = tuple(growing.get(one.id, one) if _grows(one) else one for one in chat.entries)
    return chat.model_copy(update={"entries": entries})


def _grows(entry: wire.Entry) -> bool:
    return isinstance(entry, wire.Reply) and not entry.done
