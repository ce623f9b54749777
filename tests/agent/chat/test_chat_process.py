"""The chat process as `drls up` has it: over its socket and through the site's REST, and after kill -9."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from agent.web.connect import connect
from agent.web.section import SECTION
from lifecycle.app.sections import SECTIONS
from lifecycle.app.site import create_site
from tests.agent.chat.world import World
from tests.fakes.model import Hangs, Says
from tests.waiting import wait_until

CHECKOUT = Path(__file__).parents[3]
# The process, with the tools of these tests.
CODE = """
from agent.tools import registry
registry.GROUPS += ("tests.agent.chat.world",)
from agent.chat.serve import main
main()
"""


@contextmanager
def serving(world: World) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """The process of this home, and its socket; killed at the end."""
    place, log = world.home / "agent.sock", world.home / "agent.log"
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONWARNINGS": "ignore"}
    with log.open("ab") as out:
        command = [sys.executable, "-c", CODE, "--socket", str(place)]
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        wait_until(lambda: process.poll() is not None or _answers(place), 120)
        assert process.poll() is None, log.read_text()
        yield place, process
    finally:
        process.kill()
        process.wait(30)


def _answers(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        try:
            asking.connect(str(place))
        except OSError:
            return False
        asking.sendall(b"GET /models HTTP/1.1\r\nHost: chat\r\nConnection: close\r\n\r\n")
        return asking.recv(12) == b"HTTP/1.1 401"


@contextmanager
def site(world: World, place: Path | None) -> Iterator[TestClient]:
    """The site that `drls up` serves, as far as chats need it."""
    with world.context() as ctx:
        app = create_site(ctx, (*SECTIONS, SECTION), connected=(connect(world.settings, place),))
        with TestClient(app, base_url="http://127.0.0.1") as client:
            yield client


def bearer(world: World, who: str = "ada") -> dict[str, str]:
    return {"Authorization": f"Bearer {world.tokens[who]}"}


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def state(http: TestClient, path: str) -> str:
    """Of a chat; empty while a busy machine does not answer in time."""
    return str(http.get(path).json().get("state", ""))


@pytest.mark.slow
def test_kill_9_in_the_middle_of_a_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transcript says what is known, the chat continues, and a repetition does nothing twice."""
    arguments = {"request": 1, "text": "Please look at the rows."}
    world.fake.play(Says("", (("comment_and_hang", arguments),)))
    with serving(world) as (place, process), site(world, place) as http:
        http.headers.update(bearer(world))
        chat = http.post("/api/agent/chats", json={}).json()["id"]
        path = f"/api/agent/chats/{chat}"
        assert http.post(f"{path}/messages", json={"text": "Comment", "key": "m1"}).status_code == 202
        wait_until(lambda: state(http, path) == "asking")
        asked = http.get(path).json()["entries"][-1]
        # The agent's person alone answers, and only to these arguments.
        wrong = {"agree": True, "digest": "0" * 64}
        right = {"agree": True, "digest": asked["question"]["digest"]}
        assert http.post(f"{path}/calls/{asked['id']}/answer", json=wrong).status_code == 409
        assert (
            http.post(f"{path}/calls/{asked['id']}/answer", json=right, headers=bearer(world, "vic")).status_code == 404
        )
        assert http.post(f"{path}/messages", json={"text": "And?"}).status_code == 409
        assert http.post(f"{path}/calls/{asked['id']}/answer", json=right).status_code == 204
        wait_until((world.home / "hanging").exists)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        away = http.get(path)
        assert away.status_code == 503
        assert "the chat process is not running" in away.json()["detail"]
    assert world.comments() == ["Please look at the rows."]

    (world.home / "go").touch()
    world.fake.play(Says("Again.", (("comment_and_hang", arguments),)), Says("It is there."))
    with serving(world) as (place, _), site(world, place) as http:
        http.headers.update(bearer(world))
        wait_until(lambda: state(http, path))
        whole = http.get(path).json()
        call, note = whole["entries"][-2:]
        assert whole["state"] == "idle"
        assert call["state"] == "unknown"
        assert "may or may not have taken effect" in call["error"]
        assert call["said_yes"] == "ada"
        assert "interrupted" in note["text"]
        # The same message again begins nothing new.
        assert http.post(f"{path}/messages", json={"text": "Comment", "key": "m1"}).json()["entry"] == 1
        assert len(world.fake.requests) == 1
        assert http.post(f"{path}/messages", json={"text": "Go on"}).status_code == 202
        wait_until(lambda: state(http, path) == "asking")
        asked = http.get(path).json()["entries"][-1]
        right = {"agree": True, "digest": asked["question"]["digest"]}
        assert http.post(f"{path}/calls/{asked['id']}/answer", json=right).status_code == 204
        wait_until(lambda: state(http, path) == "idle")
        assert http.get(path).json()["entries"][-1]["text"] == "It is there."
        # What the model was given of it says that nobody knows.
        told = [one["content"] for one in world.fake.requests[1]["messages"] if one["role"] == "tool"]
        assert "No answer was recorded" in told[0]
        _rest_of_the_api(world, http)
    assert world.comments() == ["Please look at the rows."]


def _rest_of_the_api(world: World, http: TestClient) -> None:
    """POST /api/agent/chat begins a chat and streams its turn; others see nothing of it, an Admin all."""
    world.fake.reset()
    world.fake.play(Says("Hello Ada."))
    answer = http.post(
        "/api/agent/chat", json={"text": "Hello", "model": "large", "about": {"kind": "run", "name": "7f"}}
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    seen = events(answer.text)
    assert seen[0]["event"] == "chat"
    assert seen[0]["chat"]["about"] == {"kind": "run", "name": "7f"}
    assert seen[-1] == {"event": "end"}
    assert [one["entry"]["text"] for one in seen if one["event"] == "entry"][-1] == "Hello Ada."
    chat = seen[0]["chat"]["id"]
    assert [one["name"] for one in http.get("/api/agent/models").json()["models"]] == ["small", "large"]
    assert http.get("/api/agent/chats", params={"search": "hello ada"}).json()["items"][0]["id"] == chat
    assert http.get("/api/agent/chats", params={"search": "nowhere"}).json()["items"] == []
    vic, root = bearer(world, "vic"), bearer(world, "root")
    assert http.get("/api/agent/chats", headers=vic).json()["items"] == []
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/messages"), ("POST", "/stop"), ("GET", "/events")):
        body = {"text": "hi"} if path == "/messages" else {} if method == "PATCH" else None
        assert http.request(method, f"/api/agent/chats/{chat}{path}", json=body, headers=vic).status_code == 404
    assert http.get("/api/agent/chats", params={"owner": "*"}, headers=vic).status_code == 403
    assert http.get("/api/agent/chats", params={"owner": "ada"}, headers=root).json()["items"][0]["owner"] == "ada"
    assert http.get(f"/api/agent/chats/{chat}", headers=root).status_code == 200
    assert http.post(f"/api/agent/chats/{chat}/stop", headers=root).status_code == 404
    assert http.patch(f"/api/agent/chats/{chat}", json={"model": "none"}).status_code == 422
    assert http.get("/api/agent/chats", headers={"Authorization": "Bearer nobody"}).status_code == 401

    # The work continues when the reader leaves, and stop ends it.
    hangs = Hangs()
    world.fake.play(hangs)
    assert http.post(f"/api/agent/chats/{chat}/messages", json={"text": "Think"}).status_code == 202
    assert hangs.began.wait(30)
    assert http.post(f"/api/agent/chats/{chat}/stop").status_code == 204
    wait_until(lambda: state(http, f"/api/agent/chats/{chat}") == "idle")
    assert http.get(f"/api/agent/chats/{chat}").json()["entries"][-1]["text"] == "Stopped."


def test_without_a_model_the_api_says_what_to_set(world: World) -> None:
    with site(world, None) as http:
        answer = http.get("/api/agent/models", headers=bearer(world))
    assert answer.status_code == 409
    assert "[agent.models.claude]" in answer.json()["detail"]


def test_the_socket_is_private(world: World) -> None:
    from agent.chat.serve import _listen

    with _listen(world.home / "x.sock"):
        assert (world.home / "x.sock").stat().st_mode & 0o777 == 0o600
