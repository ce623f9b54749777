"""A turn: the model answers, calls tools, and everything is in the transcript."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.chat import service as service_module
from agent.chat import wire
from agent.chat.wire import CallState
from tests.agent.chat.world import DAGSTER, DONE, SHELF, Chatting, World
from tests.fakes.model import KEY, Fails, Hangs, Says
from tests.lifecycle.life import SETUP

FOR_FLIGHTS = {"pipeline": "flights"}


def test_the_model_reads_with_tools_and_answers(world: World) -> None:
    world.fake.play(Says("Let me look.", (("look", {"what": "table"}),)), Says("There is a row."))

    async def talk(ada: Chatting) -> list[Any]:
        return await ada.say(await ada.begin(), "What is there?")

    said, first, call, second = world.play(talk)
    assert (said.text, first.text, second.text) == ("What is there?", "Let me look.", "There is a row.")
    assert call.state is CallState.DONE
    assert json.loads(call.output)["rows"] == ["a row"]
    assert not call.changes
    assert first.done
    assert first.model == "small"
    # What the tool answered came back to the model as data.
    answer = world.fake.requests[1]["messages"][-1]
    assert answer["role"] == "tool"
    assert answer["content"].startswith('<data id="')
    names = {one["function"]["name"] for one in world.fake.requests[0]["tools"]}
    assert {"look", "save_it"} <= names
    assert world.fake.keys == [KEY, KEY]


def test_words_come_as_they_are_said(world: World) -> None:
    world.fake.play(Says("One two three\nfour"))
    seen = list[Any]()

    async def talk(ada: Chatting) -> list[Any]:
        return await ada.say(await ada.begin(), "Count", seen=seen)

    entries = world.play(talk)
    first = next(one.entry for one in seen if isinstance(one, wire.EntryEvent) and one.entry.kind == "reply")
    words = [one.text for one in seen if isinstance(one, wire.TextEvent)]
    assert len(words) > 1
    assert (first.text + "".join(words)).strip() == entries[-1].text == "One two three\nfour"
    assert isinstance(seen[-1], wire.EndEvent)


def test_a_change_waits_for_a_yes_that_shows_its_arguments(world: World) -> None:
    world.fake.play(Says("", (("save_it", FOR_FLIGHTS),)), Says("Saved."))
    seen = list[Any]()

    async def talk(ada: Chatting) -> list[Any]:
        return await ada.say(await ada.begin(), "Save flights", agree=True, seen=seen)

    _, call, _ = world.play(talk)
    asked = [
        one.entry
        for one in seen
        if isinstance(one, wire.EntryEvent) and one.entry.kind == "call" and one.entry.question
    ]
    assert asked[0].arguments == FOR_FLIGHTS
    assert "pipelines.save" in asked[0].question.text
    assert [one.state for one in seen if isinstance(one, wire.StateEvent)][:3] == ["working", "working", "asking"]
    assert call.state is CallState.DONE
    assert call.said_yes == "ada"
    assert [one.href for one in call.links] == ["/pipelines/flights"]
    assert world.versions() == 2


def test_a_no_changes_nothing(world: World) -> None:
    for tool in ("save_it", "ask_first"):
        world.fake.play(Says("", ((tool, FOR_FLIGHTS),)), Says("As you like."))

        async def talk(ada: Chatting) -> list[Any]:
            return await ada.say(await ada.begin(), "Save flights", agree=False)

        _, call, _ = world.play(talk)
        assert call.state is CallState.REFUSED
        assert "nothing was changed" in call.error
    assert world.versions() == 1
    assert not DONE


def test_no_answer_in_time_is_a_no(world: World) -> None:
    world.configure()
    text = (world.home / "drls.toml").read_text().replace("confirm_seconds = 30", "confirm_seconds = 0.05")
    (world.home / "drls.toml").write_text(text)
    world.fake.play(Says("", (("ask_first", FOR_FLIGHTS),)), Says("Nobody answered."))

    async def talk(ada: Chatting) -> list[Any]:
        return await ada.say(await ada.begin(), "Save flights")

    assert world.play(talk)[1].state is CallState.REFUSED
    assert world.versions() == 1


def test_a_tools_own_question_is_the_only_one(world: World) -> None:
    world.fake.play(Says("", (("ask_first", FOR_FLIGHTS),)), Says("Saved."))
    seen = list[Any]()

    async def talk(ada: Chatting) -> list[Any]:
        return await ada.say(await ada.begin(), "Save flights", agree=True, seen=seen)

    world.play(talk)
    questions = {
        one.entry.question.text
        for one in seen
        if isinstance(one, wire.EntryEvent) and one.entry.kind == "call" and one.entry.question
    }
    assert questions == {"Save flights?"}
    assert world.versions() == 2


def test_a_yes_to_other_arguments_is_no_yes(world: World) -> None:
    world.fake.play(Says("", (("save_it", FOR_FLIGHTS),)), Says("Fine."))

    async def talk(ada: Chatting) -> None:
        chat, token = await ada.begin(), ada.tokens["ada"]
        _, after = await ada.service.say(token, chat, wire.Message(text="Save"))
        async for one in await ada.service.events(token, chat, after=after, until_end=True):
            if one and isinstance(one[1], wire.EntryEvent) and getattr(one[1].entry, "question", None):
                for who, digest in (("ada", "0" * 64), ("vic", one[1].entry.question.digest)):
                    try:
                        answer = wire.Answer(agree=True, digest=digest)
                        await ada.service.answer(ada.tokens[who], chat, one[1].entry.id, answer)
                    except Exception as error:  # noqa: BLE001
                        refused.append(type(error).__name__)
                await ada.service.stop(token, chat)

    refused = list[str]()
    world.play(talk)
    assert refused == ["Conflict", "NotFound"]
    assert world.versions() == 1


def test_what_a_tool_refuses_goes_to_the_model(world: World) -> None:
    calls = (
        ("look", {"what": "nothing"}),
        ("look", {"where": 1}),
        ("fly", {}),
        ("look", "{not json"),
        ("look", {"what": "bug"}),
    )
    world.fake.play(Says("", calls), Says("That did not work."))

    async def talk(ada: Chatting) -> list[Any]:
        return await ada.say(await ada.begin(), "Try")

    entries = world.play(talk)
    errors = [one.error for one in entries if one.kind == "call"]
    for error, words in zip(
        errors, ("look at table", "Extra inputs", "no tool fly", "not JSON", "a bug in DRLS"), strict=True
    ):
        assert words in error
    assert len([one for one in world.fake.requests[1]["messages"] if one["role"] == "tool"]) == 5


def test_stop_ends_the_models_answer(world: World) -> None:
    hangs = Hangs("One moment ")
    world.fake.play(hangs)

    async def talk(ada: Chatting) -> list[Any]:
        chat, token = await ada.begin(), ada.tokens["ada"]
        _, after = await ada.service.say(token, chat, wire.Message(text="Think"))
        async for one in await ada.service.events(token, chat, after=after, until_end=True):
            if one and isinstance(one[1], wire.EntryEvent) and one[1].entry.kind == "reply":
                await ada.service.stop(token, chat)
        return await ada.entries(chat)

    entries = world.play(talk)
    assert [one.kind for one in entries] == ["said", "reply", "note"]
    assert entries[1].text == "One moment"
    assert entries[-1].text == "Stopped."
    assert hangs.left.wait(10)


def test_stop_ends_a_tool_that_looks(world: World) -> None:
    def hold(call: Any) -> None:
        while not call.client.cancelled:
            started.append(1)

    started = list[int]()
    SHELF.hold = hold
    world.fake.play(Says("", (("look", {}),)))

    async def talk(ada: Chatting) -> list[Any]:
        chat, token = await ada.begin(), ada.tokens["ada"]
        _, after = await ada.service.say(token, chat, wire.Message(text="Look"))
        async for one in await ada.service.events(token, chat, after=after, until_end=True):
            if one and isinstance(one[1], wire.EntryEvent) and one[1].entry.kind == "call":
                await ada.service.stop(token, chat)
        return await ada.entries(chat)

    entries = world.play(talk)
    assert entries[1].state is CallState.DONE
    assert entries[-1].text == "Stopped."
    assert len(world.fake.requests) == 1


def test_a_rate_limit_is_waited_out(world: World) -> None:
    world.fake.play(Fails(429), Fails(500), Says("Here I am."))

    async def talk(ada: Chatting) -> list[Any]:
        return await ada.say(await ada.begin(), "Hello?")

    assert world.play(talk)[-1].text == "Here I am."
    assert len(world.fake.requests) == 3


def test_an_answer_that_breaks_off_is_said_once(world: World) -> None:
    world.fake.play(Says("Half of ", breaks=True), Says("All of it."))

    async def talk(ada: Chatting) -> list[Any]:
        return await ada.say(await ada.begin(), "Hello?")

    assert [one.text for one in world.play(talk)] == ["Hello?", "All of it."]


def test_a_wrong_key_is_not_tried_again_and_never_shown(world: World) -> None:
    world.fake.play(Fails(401, f"Incorrect API key provided: {KEY}"))

    async def talk(ada: Chatting) -> list[Any]:
        return await ada.say(await ada.begin(), "Hello?")

    note = world.play(talk)[-1]
    assert note.is_problem
    assert "the model small failed" in note.text
    assert KEY not in note.text
    assert len(world.fake.requests) == 1


def test_a_fallback_answers_where_the_model_fails(world: World) -> None:
    world.configure(fallbacks='["large"]')
    world.fake.play(*[Fails(503)] * 3, Says("I am the other one."))

    async def talk(ada: Chatting) -> list[Any]:
        return await ada.say(await ada.begin(), "Hello?")

    _, note, reply = world.play(talk)
    assert note.text.endswith("using large instead")
    assert (reply.text, reply.model) == ("I am the other one.", "large")
    assert world.fake.requests[-1]["model"] == "gpt-large"


def test_each_chat_has_its_model(world: World) -> None:
    async def talk(ada: Chatting) -> None:
        chat = await ada.begin(model="large")
        await ada.say(chat, "Hello?")
        await ada.service.change(ada.tokens["ada"], chat, wire.ChatChange(model="small"))
        await ada.say(chat, "And now?")

    world.play(talk)
    assert [one["model"] for one in world.fake.requests] == ["gpt-large", "gpt-test"]


def test_the_same_message_twice_is_one_turn(world: World) -> None:
    async def talk(ada: Chatting) -> list[Any]:
        chat, token = await ada.begin(), ada.tokens["ada"]
        await ada.say(chat, "Hello", key="k1")
        begun, _ = await ada.service.say(token, chat, wire.Message(text="Hello", key="k1"))
        assert begun.entry == 1
        return await ada.entries(chat)

    assert len(world.play(talk)) == 2
    assert len(world.fake.requests) == 1


def test_a_reader_resumes_where_it_left(world: World) -> None:
    """After the last event that it saw; where that is gone, with the whole picture."""
    world.fake.play(Says("", (("look", {}),)), Says("One\ntwo\nthree"))

    async def read(ada: Chatting, chat: str, last: str) -> list[tuple[str, Any]]:
        found = list[tuple[str, Any]]()
        async for one in await ada.service.events(ada.tokens["ada"], chat, last=last, until_end=True):
            if one is not None:
                found.append(one)
        return found

    async def talk(ada: Chatting) -> None:
        chat, token = await ada.begin(), ada.tokens["ada"]
        _, after = await ada.service.say(token, chat, wire.Message(text="Look"))
        whole = list[tuple[str, Any]]()
        async for one in await ada.service.events(token, chat, after=after, until_end=True):
            if one is not None:
                whole.append(one)
        for cut in (0, 3, len(whole) - 2):
            assert await read(ada, chat, whole[cut][0]) == whole[cut + 1 :]
        fresh = aiter(await ada.service.events(token, chat, last="another-7"))
        first = await anext(fresh)
        assert first is not None
        assert isinstance(first[1], wire.ChatEvent)
        assert [one.kind for one in first[1].chat.entries] == ["said", "call", "reply"]
        await fresh.aclose()  # type: ignore[attr-defined]

    world.play(talk)


def test_the_work_goes_on_when_the_reader_leaves(world: World) -> None:
    hangs = Hangs()
    world.fake.play(hangs)

    async def talk(ada: Chatting) -> list[Any]:
        chat, token = await ada.begin(), ada.tokens["ada"]
        _, after = await ada.service.say(token, chat, wire.Message(text="Think"))
        reading = aiter(await ada.service.events(token, chat, after=after))
        await anext(reading)
        await reading.aclose()  # type: ignore[attr-defined]
        hangs.go.set()
        async for _ in await ada.service.events(token, chat, after=after, until_end=True):
            continue
        return await ada.entries(chat)

    assert world.play(talk)[-1].text == "One moment"


def test_a_secret_that_a_person_pastes_is_not_kept(world: World) -> None:
    async def talk(ada: Chatting) -> list[Any]:
        return await ada.say(await ada.begin(), f"Use {ada.tokens['vic']} and password=hunter2word please")

    said = world.play(talk)[0]
    assert said.text == "Use [DRLS token removed] and password=[secret removed] please"
    assert world.tokens["vic"] not in str(world.fake.requests)
    assert world.tokens["vic"].encode() not in (world.home / "agent" / "chats.db").read_bytes()


def test_what_changes_something_asks_though_the_tool_says_it_reads(world: World) -> None:
    world.fake.play(Says("", (("stop_it", {"run_id": "7f"}),)), Says("No."))

    async def talk(ada: Chatting) -> list[Any]:
        return await ada.say(await ada.begin(), "Stop it", agree=False)

    call = world.play(talk)[1]
    assert call.state is CallState.REFUSED
    assert not call.changes
    assert not DAGSTER.asked


def test_an_agent_of_a_person_without_rights_is_refused(world: World) -> None:
    world.fake.play(Says("", (("save_it", FOR_FLIGHTS),)), Says("I may not."))

    async def talk(vic: Chatting) -> list[Any]:
        return await vic.say(await vic.begin("vic"), "Save it", "vic", agree=True)

    call = world.play(talk)[1]
    assert call.state is CallState.FAILED
    assert "DataEngineer" in call.error
    assert world.versions() == 1


def test_who_has_lost_their_token_reads_no_further(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "RECHECK_SECONDS", -1.0)
    hangs = Hangs()
    world.fake.play(hangs)

    async def talk(ada: Chatting) -> list[Any]:
        chat, token = await ada.begin(), ada.tokens["ada"]
        _, after = await ada.service.say(token, chat, wire.Message(text="Think"))
        seen = list[Any]()
        async for one in await ada.service.events(token, chat, after=after, until_end=True):
            seen.append(one)
            if len(seen) == 1:
                with world.context() as ctx, ctx.store.write(SETUP, "disable") as unit:
                    unit.people.change(unit.people.named("ada").id, disabled_at=unit.now)
                    unit.audit("person.disabled", "person:ada")
        return seen

    assert len(world.play(talk)) == 1
