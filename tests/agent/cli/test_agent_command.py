"""`drls agent`: chats in the terminal, without `drls up`."""

from __future__ import annotations

import builtins
import json
from typing import Any

import pytest

from agent.cli.talking import Talking, plain
from agent.tools.registry import all_tools
from drls_dagster.cli import lazy
from drls_dagster.cli.main import run
from tests.agent.chat.world import Chatting, World
from tests.fakes.model import Fails, Says

FOR_FLIGHTS = {"pipeline": "flights"}


@pytest.fixture
def ada(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("DRLS_TOKEN", world.tokens["ada"])
    return world


def test_a_message_is_answered_and_tools_are_lines(ada: World, capsys: pytest.CaptureFixture[str]) -> None:
    ada.fake.play(Says("Let me look.", (("look", {"what": "table"}), ("save_it", FOR_FLIGHTS))), Says("A \x1b[2Jrow."))
    assert run(["agent", "chat", "What is there?"]) == 0
    said = capsys.readouterr()
    assert [line.strip() for line in said.out.splitlines()] == ["Let me look.", "A \\x1b[2Jrow."]
    assert '✓ look {"what": "table"}' in said.err
    # Nobody can be asked here, so nothing was changed.
    assert 'Save it asks: save_it {"pipeline": "flights"}' in said.err
    assert "this terminal cannot ask" in said.err
    assert ada.versions() == 1

    assert run(["agent", "chats", "--search", "what is", "--json"]) == 0
    (chat,) = json.loads(capsys.readouterr().out)
    assert chat["owner"] == "ada"
    ada.fake.play(Fails(401))
    assert run(["agent", "chat", "--chat", chat["id"], "--model", "large", "And now?"]) == 1
    assert "the model large failed" in capsys.readouterr().err
    # It remembered what was said before.
    assert [one["content"] for one in ada.fake.requests[-1]["messages"]][1] == "What is there?"


def test_a_person_at_the_terminal_is_asked(ada: World, capsys: pytest.CaptureFixture[str]) -> None:
    ada.fake.play(Says("", (("save_it", FOR_FLIGHTS),)), Says("Saved."))
    asked = list[str]()

    def yes(question: str) -> bool:
        asked.append(question)
        return True

    async def talk(chatting: Chatting) -> int:
        return await Talking(chatting.service, chatting.tokens["ada"], yes).run("Save it", "", "")

    assert ada.play(talk) == 0
    assert asked == ["Let the agent do this? (pipelines.save)"]
    assert ada.versions() == 2
    assert "✓ save_it" in capsys.readouterr().err


def test_without_a_message_it_reads_until_the_end(
    ada: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = iter(["Hello", "", "Bye"])

    def read(_: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr(builtins, "input", read)

    async def talk(chatting: Chatting) -> int:
        return await Talking(chatting.service, chatting.tokens["ada"]).run(None, "", "")

    assert ada.play(talk) == 0
    assert capsys.readouterr().out.split() == ["Done.", "Done."]
    assert len(ada.fake.requests) == 2


def test_tools_lists_what_each_one_changes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["agent", "tools", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found] == [one.name for one in all_tools()]
    assert {"read", "change"} <= {one["effect"] for one in found}


def test_without_the_package_the_command_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name="agent")

    monkeypatch.setattr(lazy, "import_module", missing)
    assert run(["agent", "tools"]) == 2
    assert "agent needs the package 'agent', which is not installed" in capsys.readouterr().err


def test_nothing_moves_the_cursor() -> None:
    assert plain("a\x1b]8;;https://evil.example\x07b\nc") == "a\\x1b]8;;https://evil.example\\x07b\nc"
