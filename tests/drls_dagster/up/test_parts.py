"""The parts of `drls up` by themselves."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from drls_dagster.cli.up import _listen, _sign_in_link
from drls_dagster.errors import DrlsError
from drls_dagster.settings import Settings, load_settings
from drls_dagster.up.children import Child
from drls_dagster.up.layout import AGENT, Layout
from drls_dagster.up.web.operations import OperationType, Unreadable, read_documents
from drls_dagster.up.web.reloads import Reloads
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.store.unit import Unit
from lifecycle.usecases.first_start import LINK_LIFE
from lifecycle.usecases.tokens import issue
from tests.lifecycle.life import SETUP, Life


def test_a_child_that_keeps_ending_is_started_with_growing_pauses(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('here'); raise SystemExit(3)"]
    child = Child("uat", command, {}, tmp_path, tmp_path / "uat.log", pause=0.05)
    child.start()
    told: list[str] = []
    deadline = time.monotonic() + 30
    while len(told) < 5 and time.monotonic() < deadline:
        told += [line for line in [child.watch()] if line]
    assert [line.split(" (")[0] for line in told] == [
        "uat ended with 3; restarting in 0 s",
        "restarting uat",
        "uat ended with 3; restarting in 0 s",
        "restarting uat",
        "uat ended with 3; restarting in 0 s",
    ]
    assert child.pause == pytest.approx(0.4)
    assert child.log.read_text().count("here") == 3
    assert child.log.stat().st_mode & 0o077 == 0


def test_sockets_have_room_however_long_the_home_is(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / ("long" * 30))
    layout = Layout(settings, "id", "token", 0)
    assert layout.sockets != layout.folder
    assert len(str(layout.sockets / "development.sock")) < 107
    assert layout.sockets.stat().st_mode & 0o077 == 0
    layout.remove()
    assert not layout.sockets.exists()


def test_the_chat_process_starts_where_a_model_is_configured(tmp_path: Path) -> None:
    models = {"models": {"local": {"model": "ollama_chat/qwen3", "api_base": "http://127.0.0.1:11434"}}}
    for agent, has_chats in (({}, False), (models, True)):
        settings = Settings.model_validate({"home": tmp_path / f"home{has_chats}", "agent": agent})
        layout = Layout(settings, "id", "token", 0)
        assert (AGENT in layout.listening) == has_chats
        layout._listen()
        children = {one.name: one for one in layout.children()}
        assert (AGENT in children) == has_chats
        assert ("--agent" in children["web"].command) == has_chats
        if has_chats:
            place = layout.listening[AGENT]
            assert "agent.chat.serve" in children[AGENT].command
            assert place.stat().st_mode & 0o777 == 0o600
        layout.remove()


@pytest.mark.parametrize("scopes", [tuple(TokenScope), (TokenScope.READ,)], ids=["all", "read"])
def test_only_a_token_for_everything_becomes_a_link(
    tmp_path: Path, drls_home: Path, monkeypatch: pytest.MonkeyPatch, scopes: tuple[TokenScope, ...], life: Life
) -> None:
    with life.store.write(SETUP, "setup") as unit:
        token = _token(unit, life.person("ada"), scopes)
    monkeypatch.setenv("DRLS_TOKEN", token)
    link = _sign_in_link(life.ctx, load_settings(drls_home))
    assert (link is not None) == (scopes == tuple(TokenScope))


def _token(unit: Unit, person: int, scopes: tuple[TokenScope, ...]) -> str:
    who = unit.people.get(person)
    return issue(unit, who, TokenKind.PERSONAL, "test", scopes=scopes, life=LINK_LIFE).secret


def test_every_operation_of_a_document_counts() -> None:
    found = read_documents(["query A { version } mutation B { setNuxSeen, launchRun { a } } subscription C { d }"])
    assert found.kinds == set(OperationType)
    assert found.mutations == ("setNuxSeen", "launchRun")
    assert read_documents(["fragment F on Mutation { a } { version }"]).changes is False
    for broken in ("{", "mutation", "{" * 30_000, "{ a " * 5000 + "}" * 5000):
        with pytest.raises(Unreadable):
            read_documents([broken])


def test_a_push_and_a_sensor_that_mean_the_same_change_are_one_reload() -> None:
    inside, go = threading.Event(), threading.Event()
    loaded: list[str] = []
    wanted = "v1"

    def reload(location: str) -> None:
        inside.set()
        assert go.wait(30)
        loaded.append(wanted)

    after = threading.Semaphore(0)
    reloads = Reloads(reload, lambda _: wanted, lambda _: after.release())
    reloads.ask("qa")
    assert inside.wait(30)
    reloads.ask("qa")
    go.set()
    assert after.acquire(timeout=30)
    reloads.ask("qa")
    wanted = "v2"
    reloads.ask("qa")
    assert after.acquire(timeout=30)
    reloads.close()
    assert loaded == ["v1", "v2"]


def test_a_reload_that_fails_is_tried_again_when_asked() -> None:
    tried = threading.Semaphore(0)

    def reload(location: str) -> None:
        tried.release()
        raise RuntimeError(location)

    reloads = Reloads(reload, lambda _: "v1", lambda _: None)
    for _ in range(2):
        reloads.ask("qa")
        assert tried.acquire(timeout=30)
    reloads.close()


def test_up_listens_where_it_is_told_and_says_what_is_taken() -> None:
    with _listen("127.0.0.2", 0) as listening:
        host, port = listening.getsockname()
        assert host == "127.0.0.2"
        with pytest.raises(DrlsError, match=f"port {port} of 127.0.0.2 cannot be used"):
            _listen("127.0.0.2", port)
