"""Calling a tool in a turn: kept before it begins, confirmed where it changes something, kept when it ends."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from agent.chat import wire
from agent.chat.asking import AskingDagster, AskingWay, Consent
from agent.chat.budgets import Budgets, OutOfTime
from agent.chat.card import Card, ChatClient
from agent.chat.links import links_of
from agent.chat.model import Wanted
from agent.chat.telling import Telling
from agent.tools.call import ToolCall
from agent.tools.dispatch import Answered, find_tool, invoke
from agent.tools.errors import ToolError
from agent.tools.tool import Effect, Tool
from drls_dagster.errors import DrlsError
from drls_dagster.lifecycle_client.calls import Lifecycle
from drls_dagster.redact import redact

BUG = "this is a bug in DRLS; the log of the chat process has the details"
# How long a tool may take to end after the person pressed stop.
_LET_GO_SECONDS = 2.0
_LOST = {wire.CallState.UNKNOWN}
_LOG = logging.getLogger(__name__)


class Calling:
    """The tool calls of one turn. `call_of` gives what a tool asks with, as the agent of the newest token shown."""

    def __init__(
        self,
        telling: Telling,
        budgets: Budgets,
        call_of: Callable[[], ToolCall],
        threads: ThreadPoolExecutor,
        confirm_seconds: float,
    ) -> None:
        self._telling, self._budgets, self._call_of, self._threads = telling, budgets, call_of, threads
        self._confirm_seconds = confirm_seconds
        self.card: Card | None = None

    async def call(self, wanted: Wanted, step: int) -> None:
        """Calls a tool; whatever it answers or raises is in its entry. Raises OutOfTime."""
        call = await self._telling.kept(self._call_of)
        tool, arguments, problem = _read(wanted, call, self._telling.secrets)
        shown = redact(arguments, self._telling.secrets)
        name = tool.name if tool else self._telling.clean(wanted.name[:100]) or "?"
        key = None if problem else await self._telling.kept(self._lost_key, name, shown)
        entry = await self._telling.add(
            lambda number, at: wire.ToolEntry(
                id=number,
                at=at,
                ended_at=at if problem else None,
                tool=name,
                title=tool.title if tool else name,
                changes=tool is not None and tool.effect is not Effect.READ,
                arguments=shown,
                state=wire.CallState.FAILED if problem else wire.CallState.RUNNING,
                error=self._telling.clean(problem),
            ),
            step=step,
            key=key,
        )
        assert isinstance(entry, wire.ToolEntry)  # noqa: S101 (it was made above)
        if tool is not None and not problem:
            card = self.card = Card(self._telling, entry, self._confirm_seconds)
            try:
                await self._invoke(tool, arguments, call, card, key or self._key(entry.id))
            finally:
                self.card = None

    def _key(self, entry: int) -> str:
        return f"chat-{self._telling.chat.id}-{entry}"

    def _lost_key(self, name: str, arguments: dict[str, Any]) -> str | None:
        """The idempotency key of the last call like this one, if nobody knows how that ended."""
        for one in reversed(self._telling.store.entries(self._telling.chat.id)):
            entry = one.entry
            if isinstance(entry, wire.ToolEntry) and (entry.tool, entry.arguments) == (name, arguments):
                return one.private.get("key") or self._key(entry.id) if entry.state in _LOST else None
        return None

    async def _invoke(self, tool: Tool, arguments: dict[str, Any], call: ToolCall, card: Card, key: str) -> None:
        consent = Consent(card.ask, key)
        asking = replace(
            call,
            lifecycle=Lifecycle(AskingWay(call.lifecycle.way, consent)),
            dagster_of=lambda: AskingDagster(call.dagster_of(), consent),
            client=ChatClient(card, consent),
            unattended=False,
        )
        began = time.monotonic()
        work = asyncio.get_running_loop().run_in_executor(self._threads, invoke, tool, asking, arguments)
        try:
            answer = await self._in_time(work, card)
            await card.end(wire.CallState.DONE, output=answer.text, links=links_of(arguments, answer.data))
        except (asyncio.CancelledError, OutOfTime):
            await asyncio.shield(self._let_go(card, work))
            raise
        except DrlsError as error:
            refused = consent.given is False
            await card.end(wire.CallState.REFUSED if refused else wire.CallState.FAILED, error=error.message)
        except Exception:  # noqa: BLE001 (a tool is code of many; the chat continues)
            _LOG.error("the tool %s failed: %s", tool.name, self._telling.clean(traceback.format_exc()))
            await card.end(wire.CallState.FAILED, error=BUG)
        finally:
            seconds = max(0.0, time.monotonic() - began - card.waited)
            await asyncio.shield(self._telling.spend(self._telling.chat.model, seconds=seconds))

    async def _in_time(self, work: asyncio.Future[Answered], card: Card) -> Answered:
        """The tool's answer. Raises OutOfTime when no seconds are left; those of waiting for a person do not count."""
        left = await self._telling.kept(self._budgets.seconds_left)
        began = time.monotonic()
        while not work.done():
            rest = None if left is None else left - (time.monotonic() - began - card.waited)
            if card.is_asking:
                rest = self._confirm_seconds if rest is None else max(rest, 1.0)
            elif rest is not None and rest <= 0:
                raise OutOfTime
            await asyncio.wait({work}, timeout=rest)
        return work.result()

    async def _let_go(self, card: Card, work: asyncio.Future[Answered]) -> None:
        """A tool that nobody waits for may still end in time; if not, nobody knows how it ends."""
        card.abandon()
        await asyncio.wait({work}, timeout=_LET_GO_SECONDS)
        if not work.done():
            unknown = card.entry.changes and bool(card.entry.said_yes)
            told = "stopped before the answer came" + ("; what it had begun may still take effect" if unknown else "")
            await card.end(wire.CallState.UNKNOWN if unknown else wire.CallState.STOPPED, error=told)
        elif (error := work.exception()) is not None:
            told = error.message if isinstance(error, DrlsError) else BUG
            await card.end(wire.CallState.STOPPED, error=f"stopped: {told}")
        else:
            await card.end(wire.CallState.DONE, output=work.result().text)


def _read(wanted: Wanted, call: ToolCall, secrets: tuple[str, ...]) -> tuple[Tool | None, dict[str, Any], str]:
    """The tool and its arguments, and what is wrong with them."""
    try:
        arguments = json.loads(wanted.arguments or "{}")
    except ValueError:
        return None, {}, f"the arguments of {wanted.name} are not JSON; call again with a JSON object"
    if not isinstance(arguments, dict):
        return None, {}, f"the arguments of {wanted.name} must be a JSON object"
    try:
        tool = find_tool(wanted.name, call)
    except ToolError as error:
        return None, arguments, error.message
    if redact(arguments, secrets) != arguments:
        return tool, arguments, "the arguments contain a secret; tools take none"
    return tool, arguments, ""
