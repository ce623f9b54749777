"""One turn: the model answers a message, in as many steps as it takes, and calls tools in between."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from agent.chat import wire
from agent.chat.budgets import Budgets, OutOfTime
from agent.chat.calling import BUG, Calling
from agent.chat.model import PER_TOKEN, Answered, Heard, Message, ModelClient, TooLong
from agent.chat.prompt import Prompt, Setting, tool_messages
from agent.chat.telling import Speaking, Telling
from agent.tools.call import ToolCall
from agent.tools.registry import tools_for
from drls_dagster.agent_settings import AgentSettings
from drls_dagster.errors import DrlsError

BEAT_SECONDS = 20.0
_HALVINGS = 4
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Means:
    """What a turn works with. `call_of` gives what tools ask with, as the agent of the newest token shown."""

    settings: AgentSettings
    models: ModelClient
    call_of: Callable[[], ToolCall]
    threads: ThreadPoolExecutor


class Turn:
    """The work on one message."""

    def __init__(self, telling: Telling, means: Means) -> None:
        self._telling, self._means = telling, means
        self._budgets = Budgets(means.settings, telling.store, telling.chat.id, telling.turn, telling.chat.owner)
        self._calling = Calling(telling, self._budgets, means.call_of, means.threads, means.settings.confirm_seconds)
        self._context = means.models.context(telling.chat.model)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Ends it: what the model says at once, what a tool does as far as the tool looks."""
        self._stop.set()

    def answer(self, entry: int, digest: str, *, agree: bool) -> bool:
        """The person's answer to a question; False when that is not asked, or was asked of other arguments."""
        card = self._calling.card
        return card is not None and card.entry.id == entry and card.answer(digest, agree=agree)

    async def run(self) -> None:
        """Whatever happens is in the transcript; nothing is raised."""
        await self._telling.state(wire.ChatState.WORKING)
        beat = asyncio.create_task(self._beat())
        work, stop = asyncio.create_task(self._work()), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, stop, beat):
                task.cancel()
            await asyncio.shield(self._close(work))

    async def _close(self, work: asyncio.Task[None]) -> None:
        await asyncio.wait({work})
        try:
            if work.cancelled():
                await self._telling.note("Stopped.")
            elif (error := work.exception()) is not None:
                if not isinstance(error, DrlsError):
                    _LOG.error("a turn failed: %s", self._telling.clean("".join(traceback.format_exception(error))))
                told = error.message if isinstance(error, DrlsError) else BUG
                await self._telling.note(told, is_problem=True)
        finally:
            await self._telling.over()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await self._telling.kept(self._telling.store.beat, self._telling.chat.id, self._telling.turn)

    async def _work(self) -> None:
        kept, chat = self._telling.kept, self._telling.chat
        call = await kept(self._means.call_of)
        offered = tool_messages(tools_for(call.scopes))
        prompt = Prompt(Setting(chat.owner, self._telling.store.today, chat.about))
        step = self._telling.turn * 1_000
        while True:
            await kept(self._budgets.check, self._means.models, chat.model)
            step += 1
            answered = await self._step(prompt, offered, step)
            if not answered.calls:
                return
            for wanted in answered.calls:
                await self._calling.call(wanted, step)

    async def _step(self, prompt: Prompt, offered: list[Message], step: int) -> Answered:
        """One answer of the model."""
        speaking, began = Speaking(self._telling, step), time.monotonic()
        heard = Heard(speaking.words, speaking.again, self._telling.note)
        try:
            async with asyncio.timeout(await self._telling.kept(self._budgets.seconds_left)):
                answered = await self._ask(prompt, offered, heard)
        except BaseException as error:
            # The words so far stay, and count, though their price is unknown.
            await asyncio.shield(self._spend(speaking, None, began))
            if isinstance(error, TimeoutError):
                raise OutOfTime from None
            raise
        await self._spend(speaking, answered, began)
        return answered

    async def _ask(self, prompt: Prompt, offered: list[Message], heard: Heard) -> Answered:
        model, chat = self._telling.chat.model, self._telling.chat.id
        for attempt in range(_HALVINGS + 1):
            entries = await self._telling.kept(self._telling.store.entries, chat)
            messages = prompt.messages(entries, self._context)
            try:
                return await self._means.models.ask(model, messages, offered, heard)
            except TooLong:
                if attempt == _HALVINGS:
                    raise
                self._context //= 2
        raise AssertionError("the last attempt returns or raises")

    async def _spend(self, speaking: Speaking, answered: Answered | None, began: float) -> None:
        model = answered.model if answered else self._telling.chat.model
        await speaking.end(model)
        tokens = answered.tokens if answered else int(speaking.characters / PER_TOKEN)
        money = answered.money if answered else 0.0
        await self._telling.spend(model, tokens=tokens, money=money, steps=1, seconds=time.monotonic() - began)
        await self._telling.state(wire.ChatState.WORKING)
