"""A turn as it happens: kept in the transcript, and sent to readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from agent.chat import wire
from agent.chat.feed import Feed
from agent.chat.outgoing import Outgoing
from agent.chat.store.store import ChatStore
from drls_dagster.redact import redact_text

T = TypeVar("T")


class Telling:
    """One turn's transcript. `secrets` never get into it; `own` is the address of this site."""

    def __init__(
        self,
        chat: wire.ChatInfo,
        turn: int,
        store: ChatStore,
        feed: Feed,
        *,
        own: str,
        secrets: tuple[str, ...],
    ) -> None:
        self.chat, self.turn, self.store = chat, turn, store
        self.own, self.secrets = own, secrets
        self._feed = feed

    async def kept(self, work: Callable[..., T], *given: Any) -> T:
        """Work with the store, in a thread: others may hold it."""
        return await asyncio.to_thread(work, *given)

    async def add(self, make: Callable[[int, datetime], wire.Entry], **private: Any) -> wire.Entry:
        entry = await self.kept(lambda: self.store.add(self.chat.id, make, **private))
        self._feed.publish(wire.EntryEvent(entry=entry))
        return entry

    async def put(self, entry: wire.Entry) -> None:
        await self.kept(self.store.put, self.chat.id, entry)
        self._feed.publish(wire.EntryEvent(entry=entry))

    async def note(self, text: str, *, is_problem: bool = False) -> None:
        clean = self.clean(text)
        await self.add(lambda number, at: wire.Note(id=number, at=at, text=clean, is_problem=is_problem))

    def text(self, entry: int, more: str) -> None:
        """More words of an answer; they are kept when it ends."""
        self._feed.publish(wire.TextEvent(entry=entry, text=more))

    async def state(self, state: wire.ChatState) -> None:
        usage = await self.kept(lambda: self.store.used(chat=self.chat.id))
        self._feed.publish(wire.StateEvent(state=state, usage=usage))

    async def over(self) -> None:
        """The turn has ended."""
        await self.kept(self.store.close_turn, self.chat.id, self.turn)
        await self.state(wire.ChatState.IDLE)
        self._feed.publish(wire.EndEvent())

    async def spend(self, model: str, **used: Any) -> None:
        await self.kept(lambda: self.store.spend(self.chat.id, self.turn, self.chat.owner, model=model, **used))

    def clean(self, text: str) -> str:
        return redact_text(text, self.secrets)


class Speaking:
    """One answer of the model, as it comes in."""

    def __init__(self, telling: Telling, step: int) -> None:
        self._telling, self._step = telling, step
        self._entry: wire.Reply | None = None
        self._out = self._outgoing()
        self.characters = 0

    async def words(self, words: str) -> None:
        self.characters += len(words)
        more = self._out.more(words)
        if not more:
            return
        if self._entry is None:
            await self._begin(self._out.text)
        else:
            self._telling.text(self._entry.id, more)

    async def again(self) -> None:
        """The model broke off and begins anew: forget what it said."""
        self._out = self._outgoing()
        if self._entry is not None:
            self._entry = self._entry.model_copy(update={"text": ""})
            await self._telling.put(self._entry)

    async def end(self, model: str) -> None:
        """Nothing more comes."""
        more = self._out.end()
        text = self._out.text.strip()
        if self._entry is not None and more:
            self._telling.text(self._entry.id, more)
        if self._entry is None and text:
            await self._begin(text)
        if self._entry is not None:
            self._entry = self._entry.model_copy(update={"text": text, "model": model, "done": True})
            await self._telling.put(self._entry)

    async def _begin(self, text: str) -> None:
        model = self._telling.chat.model
        entry = await self._telling.add(
            lambda number, at: wire.Reply(id=number, at=at, text=text, model=model, done=False), step=self._step
        )
        assert isinstance(entry, wire.Reply)  # noqa: S101 (it was made above)
        self._entry = entry

    def _outgoing(self) -> Outgoing:
        return Outgoing(self._telling.own, self._telling.secrets)
