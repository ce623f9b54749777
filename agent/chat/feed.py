"""What happens in a chat, for those who look at it now, and those who come back."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator

from pydantic import BaseModel

from agent.chat import wire

KEPT = 2_000
QUIET_SECONDS = 15.0


class Feed:
    """The events of one chat. Their ids, `FEED-NUMBER`, are good as long as this feed lives."""

    def __init__(self) -> None:
        self._name = secrets.token_hex(4)
        self._number = 0
        self._events: deque[tuple[int, BaseModel]] = deque(maxlen=KEPT)
        self._readers: set[asyncio.Event] = set()
        self._growing: dict[int, wire.Reply] = {}

    @property
    def growing(self) -> dict[int, wire.Reply]:
        """Answers that are not whole, as far as readers know them: the store keeps an answer when it ends."""
        return dict(self._growing)

    @property
    def is_read(self) -> bool:
        return bool(self._readers)

    @property
    def number(self) -> int:
        """The last event's."""
        return self._number

    def publish(self, event: BaseModel) -> None:
        self._number += 1
        match event:
            case wire.EntryEvent(entry=wire.Reply() as reply):
                self._growing.pop(reply.id, None)
                if not reply.done:
                    self._growing[reply.id] = reply
            case wire.TextEvent(entry=entry, text=text) if entry in self._growing:
                before = self._growing[entry]
                self._growing[entry] = before.model_copy(update={"text": before.text + text})
            case wire.EndEvent():
                self._growing.clear()
            case _:
                pass
        self._events.append((self._number, event))
        for one in self._readers:
            one.set()

    def name(self, number: int) -> str:
        """An event's id as readers see it."""
        return f"{self._name}-{number}"

    def after(self, name: str) -> int | None:
        """The number of the event with this id; None where the events after it are gone."""
        feed, _, number = name.partition("-")
        if feed != self._name or not number.isdigit() or int(number) > self._number:
            return None
        first = self._events[0][0] if self._events else self._number + 1
        return int(number) if int(number) + 1 >= first else None

    async def read(self, after: int) -> AsyncIterator[tuple[int, BaseModel] | None]:
        """The events after this number, as they come; None every QUIET_SECONDS in which none does."""
        news = asyncio.Event()
        self._readers.add(news)
        try:
            while True:
                news.clear()
                for number, event in [one for one in self._events if one[0] > after]:
                    # A reader who is too slow for what is kept must look at the whole again.
                    if number > after + 1:
                        return
                    after = number
                    yield number, event
                if not news.is_set():
                    try:
                        await asyncio.wait_for(news.wait(), QUIET_SECONDS)
                    except TimeoutError:
                        yield None
        finally:
            self._readers.discard(news)
