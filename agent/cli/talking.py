"""A chat in the terminal: words as they come, tool calls as lines, questions with a y or N."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import click

from agent.chat import wire
from agent.chat.service import ChatService

_LONGEST = 200
_ENDS = {wire.CallState.DONE: "✓", wire.CallState.RUNNING: "…"}


def ask_here(question: str) -> bool:
    """The answer of whoever sits at the terminal; no where nobody does."""
    if not sys.stdin.isatty():
        click.echo(f"{question} [no: this terminal cannot ask]", err=True)
        return False
    return click.confirm(question, default=False, err=True)


@dataclass
class Talking:
    """`ask` answers questions. Words go to stdout, everything else to stderr."""

    service: ChatService
    token: str = field(repr=False)
    ask: Callable[[str], bool] = ask_here
    _shown: int = 0

    async def run(self, message: str | None, model: str, chat: str) -> int:
        """Says `message`, or what is typed until the input ends; the exit code."""
        if chat:
            await self.service.chat(self.token, chat, limit=1)
            if model:
                await self.service.change(self.token, chat, wire.ChatChange(model=model))
        else:
            chat = (await self.service.begin(self.token, wire.NewChat(model=model))).id
        if message is not None:
            failed = await self._say(chat, message)
            click.echo(f"Continue with: drls agent chat --chat {chat}", err=True)
            return 1 if failed else 0
        click.echo(f"Chat {chat}. End with Ctrl-D.", err=True)
        while (line := await asyncio.to_thread(_read)) is not None:
            if line.strip():
                await self._say(chat, line)
        return 0

    async def _say(self, chat: str, text: str) -> bool:
        """Whether the turn ended with a problem."""
        _, after = await self.service.say(self.token, chat, wire.Message(text=text))
        failed = False
        async for one in await self.service.events(self.token, chat, after=after, until_end=True):
            match one and one[1]:
                case wire.TextEvent() as more:
                    self._words(more.text)
                case wire.EntryEvent(entry=wire.Reply() as reply):
                    self._reply(reply)
                case wire.EntryEvent(entry=wire.Note() as note):
                    failed = failed or note.is_problem
                    click.echo(plain(note.text), err=True)
                case wire.EntryEvent(entry=wire.ToolEntry() as call):
                    await self._call(chat, call)
                case _:
                    continue
        return failed

    def _words(self, text: str) -> None:
        self._shown += len(text)
        click.echo(plain(text), nl=False)

    def _reply(self, reply: wire.Reply) -> None:
        """The first words, or the end; in between words come one by one."""
        if self._shown == 0 and reply.text:
            self._words(reply.text)
        if reply.done:
            click.echo()
            self._shown = 0

    async def _call(self, chat: str, call: wire.ToolEntry) -> None:
        arguments = plain(json.dumps(call.arguments, ensure_ascii=False))
        if call.question is not None:
            # Exactly what will be done, however long it is.
            click.echo(f"{call.title} asks: {call.tool} {arguments}", err=True)
            agree = await asyncio.to_thread(self.ask, plain(call.question.text))
            answer = wire.Answer(agree=agree, digest=call.question.digest)
            await self.service.answer(self.token, chat, call.id, answer)
        elif call.ended_at is not None:
            told = f": {plain(call.error)}" if call.error else ""
            click.echo(f"{_ENDS.get(call.state, '✗')} {call.tool} {_short(arguments)}{told}", err=True)


def plain(text: str) -> str:
    """Text that moves nothing in a terminal."""
    return "".join(one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in text)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _read() -> str | None:
    try:
        return input("> ")
    except EOFError:
        return None
