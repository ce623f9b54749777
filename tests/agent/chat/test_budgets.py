"""Budgets: what is used up says so, whose it is, and when it is free again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.agent.chat.world import Chatting, World
from tests.fakes.model import Says


def talk_twice(world: World, text: str = "Again") -> list[Any]:
    async def talk(ada: Chatting) -> list[Any]:
        chat = await ada.begin()
        await ada.say(chat, "Hello")
        return await ada.say(chat, text)

    return world.play(talk)


@pytest.mark.parametrize(
    ("section", "limit", "words"),
    [
        ("per_chat", "tokens = 50", "this chat has used its budget of 50 tokens (agent.per_chat.tokens); start a new chat"),
        ("per_person", "tokens = 50", "ada today has used its budget of 50 tokens (agent.per_person.tokens); it is free again at"),
        ("per_day", "steps = 1", "everybody together today has used its budget of 1 steps (agent.per_day.steps); it is free again at"),
        ("per_person", "money = 0.0001", "has used its budget of $0.00 (agent.per_person.money)"),
        ("per_chat", "seconds = 0.0001", "(agent.per_chat.seconds); start a new chat"),
    ],
)  # fmt: skip
def test_a_used_up_budget_says_which_and_until_when(world: World, section: str, limit: str, words: str) -> None:
    world.configure(f"[agent.{section}]\n{limit}\n")
    if section == "per_chat" and limit.startswith("seconds"):
        world.configure(f"[agent.{section}]\nseconds = 0.5\n")
        world.fake.play(Says("", (("look", {}),)))

        async def talk(ada: Chatting) -> list[Any]:
            chat = await ada.begin()
            info = await ada.service.chat(ada.tokens["ada"], chat)
            ada.service._store.spend(info.id, 0, "ada", model="small", seconds=1)
            return await ada.say(chat, "Hello")

        note = world.play(talk)[-1]
    else:
        note = talk_twice(world)[-1]
        assert len(world.fake.requests) == 1
    assert note.is_problem
    assert words in note.text


def test_a_message_has_so_many_steps(world: World) -> None:
    world.configure("[agent.per_message]\nsteps = 3\n")
    world.fake.otherwise = Says("", (("look", {}),))

    async def talk(ada: Chatting) -> list[Any]:
        chat = await ada.begin()
        await ada.say(chat, "Go round in circles")
        world.fake.otherwise = Says("Fine.")
        return await ada.say(chat, "Stop that")

    entries = world.play(talk)
    notes = [one.text for one in entries if one.kind == "note"]
    assert notes == [
        "this message has used its budget of 3 steps (agent.per_message.steps); send another message to continue"
    ]
    assert entries[-1].text == "Fine."
    assert len(world.fake.requests) == 4


def test_what_a_chat_used_is_counted(world: World) -> None:
    world.fake.play(Says("", (("look", {}),), tokens=(1_000, 100)), Says("Done.", tokens=(2_000, 100)))

    async def talk(ada: Chatting) -> Any:
        chat = await ada.begin()
        await ada.say(chat, "Hello")
        return await ada.service.chat(ada.tokens["ada"], chat)

    usage = world.play(talk).usage
    assert (usage.tokens, usage.steps) == (3_200, 2)
    assert usage.money == pytest.approx((3_000 * 1 + 200 * 2) / 1e6)
    assert usage.seconds > 0


def test_a_budget_of_money_needs_prices(world: World) -> None:
    world.configure("[agent.per_chat]\nmoney = 5\n")

    async def talk(ada: Chatting) -> list[Any]:
        return await ada.say(await ada.begin(model="large"), "Hello")

    note = world.play(talk)[-1]
    assert "agent.per_chat.money is set, and nobody knows the price of the model large" in note.text
    assert not world.fake.requests


def test_tokens_count_where_the_provider_counts_none(world: World) -> None:
    world.fake.play(Says("Done. " * 50, tokens=None))

    async def talk(ada: Chatting) -> Any:
        chat = await ada.begin()
        await ada.say(chat, "Hello")
        return await ada.service.chat(ada.tokens["ada"], chat)

    assert world.play(talk).usage.tokens > 60


def test_without_a_model_everything_says_what_to_set(world: World) -> None:
    (world.home / "drls.toml").unlink()

    async def talk(ada: Chatting) -> Any:
        models = await ada.service.models(ada.tokens["ada"])
        assert models.models == ()
        with pytest.raises(Exception, match=r"no model is configured; add one to DRLS_HOME/drls.toml"):
            await ada.begin()
        return models

    from drls_dagster import settings as settings_module

    settings_module._load.cache_clear()
    assert "env:ANTHROPIC_API_KEY" in world.play(talk).missing


def test_a_missing_key_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_KEY")

    async def talk(ada: Chatting) -> list[Any]:
        models = await ada.service.models(ada.tokens["ada"])
        assert models.missing == "agent.models.small.key: the environment variable MODEL_KEY is not set"
        return await ada.say(await ada.begin(), "Hello")

    assert world.play(talk)[-1].text == "agent.models.small.key: the environment variable MODEL_KEY is not set"
