"""`drls maintain` and REST: the same operation, here and through a server, followed to its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn

from drls_dagster import settings as settings_module
from drls_dagster.cli.main import run
from drls_dagster.lifecycle_client import Adapters
from drls_dagster.settings import Settings
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.operations import Operation, OperationState
from lifecycle.ports import SystemClock
from lifecycle.usecases.tokens import issue
from tests.drls_dagster.maintenance.conftest import Start
from tests.drls_dagster.maintenance.toy import WAITS
from tests.iceberg_tables import make_table
from tests.lifecycle.app.sites import site_of
from tests.lifecycle.life import SETUP, Life

T = "lab.t"
ODD = ("lab", "a b.c")
COMMAND = """
import sys
from drls_dagster.cli.main import run
from drls_dagster.lifecycle_client import Adapters
from drls_dagster.maintenance.port import TableMaintenance
from drls_dagster.settings import load_settings
from tests.drls_dagster.maintenance.toy import CHILD, KINDS
sys.exit(run(sys.argv[1:], Adapters(maintenance=TableMaintenance(load_settings(), KINDS, CHILD))))
"""
Ended = Callable[[Operation], Operation]


def token(life: Life, name: str) -> str:
    with life.store.write(SETUP, "token") as unit:
        who, life_of = unit.people.named(name), timedelta(days=1)
        return issue(unit, who, TokenKind.PERSONAL, "test", scopes=tuple(TokenScope), life=life_of).secret


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Drls = Callable[..., Said]


@pytest.fixture(params=["store", "server"])
def drls(
    request: pytest.FixtureRequest, life: Life, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Drls]:
    """Runs a command as somebody, at the store here or at a server on it."""
    make_table(T, {"x": [1, 2]})
    make_table(ODD, {"x": [1]})
    tokens = {name: token(life, name) for name in ("lea", "vic")}
    ctx = life.ctx
    given = Adapters(ctx.plane, ctx.orchestrator, SystemClock(), ctx.passwords, ctx.tables, ctx.maintenance)

    def command(*arguments: str, by: str = "lea") -> Said:
        monkeypatch.setenv("DRLS_TOKEN", tokens[by])
        capsys.readouterr()
        code = run(arguments, given)
        return Said(code, *capsys.readouterr())

    if request.param == "store":
        yield command
        return
    with serving(life) as url:
        monkeypatch.setenv("DRLS_URL", url)
        settings_module._load.cache_clear()
        yield command


@contextmanager
def serving(life: Life) -> Iterator[str]:
    """A server on the life's store; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(site_of(life.ctx), log_level="critical", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.mark.slow
def test_an_operation_is_planned_done_and_looked_up(drls: Drls) -> None:
    for name in (T, 'lab."a b.c"'):
        plan = drls("maintain", "manifests", name, "--plan", "--json", by="vic").json
        assert (plan["table"], plan["needed"]) == (name, True)
        shown = drls("maintain", "manifests", name, "--plan", by="vic")
        assert "needed" in shown.out
        assert plan["digest"] in shown.out
        done = drls("maintain", "manifests", name, "--if-plan", plan["digest"], "--json")
        assert done.code == 0, done.err
        assert done.json["state"] == "done"
        again = drls("maintain", "manifests", name, "--if-plan", plan["digest"])
        assert (again.code, "plan again" in again.err) == (1, True)
        number = str(done.json["id"])
        assert drls("maintain", "show", number, "--json", by="vic").json == done.json
        assert "1 files rewritten as 1, 2 B -> 1 B" in drls("maintain", "show", number).out
    listed = drls("maintain", "list", "--table", T, "--state", "done", "--json", by="vic").json
    assert [one["table"] for one in listed] == [T]
    assert "done" in drls("maintain", "list").out
    assert drls("maintain", "cancel", number).err == f"Error: operation {number} is done; there is nothing to cancel\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("expire", T, "--retain-last", "0"), 2, "0 is not in the range x>=1"),
        (("manifests", T, "--target-size", "0"), 2, "larger than 0"),
        (("manifests", T, "--target-size", "many"), 2, "is not a size"),
        (("manifests", "lab.none"), 1, "there is no table lab.none"),
        (("manifests", 'lab."a b'), 1, "there is no table"),
        (("manifests", T, "--ref", "nope"), 1, "has no ref 'nope'"),
        (("manifests", T, "--env", "nowhere"), 2, "nowhere"),
        (("orphans", T, "--older-than", "soon"), 2, "is not an age"),
        (("show", "99"), 1, "there is no operation 99"),
        (("cancel", "0"), 2, "out of range"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    drls: Drls, life: Life, arguments: tuple[str, ...], code: int, said: str
) -> None:
    before = life.plane.head(T, "main")
    found = drls("maintain", *arguments)
    assert (found.code, found.out) == (code, "")
    assert said in found.err
    assert len(found.err.splitlines()) == 1
    assert drls("maintain", "list", "--json").json == []
    assert life.plane.head(T, "main") == before


def test_a_viewer_starts_nothing(drls: Drls) -> None:
    found = drls("maintain", "manifests", T, by="vic")
    assert (found.code, found.out) == (1, "")
    assert "needs the role LeadDataEngineer" in found.err


@pytest.mark.slow
def test_ctrl_c_cancels_the_operation(life: Life, settings: Settings) -> None:
    make_table(T, {"x": [1, 2]})
    environment = {**os.environ, "DRLS_TOKEN": token(life, "lea")}
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, "maintain", "manifests", T, "--target-size", str(WAITS), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=Path(settings.home),
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr
        assert process.stderr.readline() == "1 of 2 files\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == "Cancelling operation 1.\n"
    assert json.loads(out)["state"] == "cancelled"


@pytest.mark.slow
def test_rest_answers_202_and_streams_the_operation_until_it_is_over(life: Life, start: Start) -> None:
    make_table(T, {"x": [1, 2]})
    headers = {"Authorization": f"Bearer {token(life, 'lea')}"}
    with serving(life) as url, httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        asked = client.post("/api/rewrite-manifests", json={"name": T, "target_bytes": WAITS})
        assert asked.status_code == 202
        number = asked.json()["id"]
        told: list[tuple[str, dict[str, Any]]] = []
        with client.stream("GET", f"/api/operations/{number}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            for event, data in events(stream.iter_lines()):
                told.append((event, data))
                if data["progress"] and not data["cancelling"]:
                    assert client.post(f"/api/operations/{number}/cancel").status_code == 200
        assert told[-1][0] == "end"
        assert told[-1][1] == client.get(f"/api/operations/{number}").json()
        assert told[-1][1]["state"] == OperationState.CANCELLED
        assert {event for event, _ in told[:-1]} == {"change"}
        for path, body in (
            ("/api/expire", {"name": T, "retain_last": 0}),
            ("/api/rewrite-manifests", {"name": T, "target_bytes": 0}),
            ("/api/orphans", {"name": T, "older_than_hours": -1}),
            ("/api/rewrite-manifests", {"name": "a\x00b"}),
            ("/api/maintenance/plan", {"name": T, "kind": "expire", "options": {"retain_last": 0}}),
            ("/api/maintenance/plan", {"name": T, "kind": "compact", "options": {"nope": 1}}),
        ):
            answer = client.post(path, json=body)
            assert answer.status_code == 422, (path, answer.text)
            assert "\n" not in answer.json()["detail"]
        assert client.get("/api/operations/99/events").status_code == 404
        client.headers["Authorization"] = f"Bearer {token(life, 'vic')}"
        assert client.post("/api/expire", json={"name": T}).status_code == 403
        assert [one["id"] for one in client.get("/api/operations").json()["items"]] == [number]


def events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
