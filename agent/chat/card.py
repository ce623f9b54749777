"""A tool call as people see it, and the question that it may wait for."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.chat import wire
from agent.chat.asking import Consent
from agent.chat.telling import Telling
from agent.tools.schema import compact

_PROGRESS_SECONDS = 0.5


class Card:
    """One call, from its first moment to its last. Whatever happens to it is in the transcript before it is shown."""

    def __init__(self, telling: Telling, entry: wire.ToolEntry, confirm_seconds: float) -> None:
        self.entry = entry
        self.abandoned = threading.Event()
        self.waited = 0.0
        self._telling = telling
        self._life = timedelta(seconds=confirm_seconds)
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[bool] | None = None
        self._told_at = 0.0

    @property
    def is_asking(self) -> bool:
        return self._answer is not None

    @property
    def digest(self) -> str:
        return digest_of(self.entry.tool, self.entry.arguments)

    def answer(self, digest: str, *, agree: bool) -> bool:
        """The person's answer; False when nothing is asked, or was asked of other arguments."""
        if self._answer is None or self._answer.done() or digest != self.digest:
            return False
        self._answer.set_result(agree)
        return True

    def abandon(self) -> None:
        """The tool is no longer awaited."""
        self.abandoned.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(False)

    async def show(self, **changes: Any) -> None:
        self.entry = self.entry.model_copy(update=changes)
        await self._telling.put(self.entry)

    async def end(self, state: wire.CallState, **changes: Any) -> None:
        error = self._telling.clean(changes.pop("error", ""))
        await self.show(state=state, ended_at=datetime.now(UTC), question=None, progress="", error=error, **changes)

    # From the tool's thread.

    def ask(self, question: str) -> bool:
        """The person's answer; no answer in time is a no."""
        if self.abandoned.is_set():
            return False
        try:
            return asyncio.run_coroutine_threadsafe(self._ask(question), self._loop).result()
        except CancelledError:
            return False

    def progress(self, text: str) -> None:
        now = time.monotonic()
        if now - self._told_at < _PROGRESS_SECONDS or self.abandoned.is_set():
            return
        self._told_at = now
        asyncio.run_coroutine_threadsafe(self._progress(text), self._loop)

    async def _progress(self, text: str) -> None:
        if self.entry.state is wire.CallState.RUNNING:
            await self.show(progress=self._telling.clean(text))

    async def _ask(self, question: str) -> bool:
        began, self._answer = time.monotonic(), self._loop.create_future()
        asked = wire.Question(
            text=self._telling.clean(question), digest=self.digest, expires_at=datetime.now(UTC) + self._life
        )
        try:
            await self.show(state=wire.CallState.ASKING, question=asked, progress="")
            await self._telling.state(wire.ChatState.ASKING)
            agreed = await asyncio.wait_for(asyncio.shield(self._answer), self._life.total_seconds())
        except TimeoutError:
            agreed = False
        finally:
            self._answer = None
            self.waited += time.monotonic() - began
        said_yes = self._telling.chat.owner if agreed else ""
        await self.show(state=wire.CallState.RUNNING, question=None, said_yes=said_yes)
        await self._telling.state(wire.ChatState.WORKING)
        return agreed


class ChatClient:
    """The chat as a tool sees it."""

    can_confirm = True

    def __init__(self, card: Card, consent: Consent) -> None:
        self._card, self._consent = card, consent

    @property
    def cancelled(self) -> bool:
        return self._card.abandoned.is_set()

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        part = f"{done:g}" if total is None else f"{done:g} of {total:g}"
        self._card.progress(f"{part}: {message}" if message else part)

    def confirm(self, question: str) -> bool:
        return self._consent.confirm(question)


def digest_of(tool: str, arguments: Mapping[str, Any]) -> str:
    """What a person agrees to."""
    return hashlib.sha256(compact([tool, dict(arguments)]).encode()).hexdigest()
