"""Whoever opens a chat while an answer is made sees all that was said so far."""

from __future__ import annotations

import asyncio

from agent.chat import wire
from tests.agent.chat.world import Chatting, World
from tests.fakes.model import Hangs

SAID = "One two three four "


def test_an_answer_that_is_not_whole_is_shown_as_far_as_it_is(world: World) -> None:
    hangs = Hangs(SAID)
    world.fake.play(hangs)

    async def look(chats: Chatting) -> None:
        chat, token = await chats.begin(), chats.tokens["ada"]
        await chats.service.say(token, chat, wire.Message(text="Count"))
        assert await asyncio.to_thread(hangs.began.wait, 60)
        while said(await chats.entries(chat)).split() != SAID.split():
            await asyncio.sleep(0.01)
        async for one in await chats.service.events(token, chat):
            assert one is not None
            assert isinstance(one[1], wire.ChatEvent)
            assert said(list(one[1].chat.entries)).split() == SAID.split()
            break
        await chats.service.stop(token, chat)

    world.play(look)


def said(entries: list[wire.Entry]) -> str:
    return "".join(one.text for one in entries if isinstance(one, wire.Reply))
