"""People with notebooks: the process that keeps them, the door and the site over real HTTP, marimo in its fence."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import uvicorn
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.sync.client import ClientConnection, connect

from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from drls_dagster.notebooks.places import PLACE, files_of
from drls_dagster.notebooks.port import KeptNotebooks
from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings, load_settings
from drls_dagster.up.web.notebook_door import PREFIX, NotebookDoor
from drls_dagster.up.web.visitor import Visitor, visitor_of
from drls_dagster.web.sections import SECTIONS
from lifecycle.app.kit.request import COOKIE
from lifecycle.app.site import create_site
from lifecycle.audit import load_signing_key
from lifecycle.domain.notebooks import Notebook
from lifecycle.domain.roles import Role
from lifecycle.store.store import Store
from lifecycle.usecases.keep_notebook import find_notebook, start_notebook, stop_notebook
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.fakes.clock import FakeClock
from tests.iceberg_tables import make_table
from tests.lifecycle.life import SETUP, Life
from tests.waiting import wait_until

PASSWORD = "a long enough password"
HEAD = "import marimo\napp = marimo.App()\n"
_NUMBERS = count()
CELL = "\n\n@app.cell\ndef _():\n{body}\n    return\n"


class World:
    """A home with people, tables, and what `drls up` starts for notebooks."""

    def __init__(self, life: Life, settings: Settings) -> None:
        self.life, self.settings = life, settings
        self.sockets = private_home(self.settings.home, "up")
        self._visits: list[Browser] = []
        self.keeper: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        place = self.sockets / "notebooks.sock"
        self._listening.bind(str(place))
        self._listening.listen(16)
        (self.sockets / PLACE).write_text(str(place))

    def keep(self, **variables: str) -> None:
        """Starts the process that keeps notebooks, on the socket that stays."""
        command = [sys.executable, "-m", "drls_dagster.notebooks.serve", "--fd", str(self._listening.fileno())]
        with (self.settings.home / "keeper.log").open("ab") as log:
            self.keeper = subprocess.Popen(
                [*command, "--sockets", str(self.sockets)],
                pass_fds=(self._listening.fileno(),), stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "DRLS_HOME": str(self.settings.home), "DRLS_TOKEN": "drls_a-token-of-the-platform", **variables},
            )  # fmt: skip

    def serve(self) -> None:
        """The site and the door."""

        def look_up(one: HTTPConnection) -> Visitor:
            return visitor_of(self.life.ctx, "own", one)

        app = _routed(create_site(self.life.ctx, SECTIONS), NotebookDoor(self.sockets, look_up))
        config = uvicorn.Config(
            app, host="127.0.0.1", port=self.port, log_level="warning", lifespan="off", ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, 30)

    def stop_keeping(self) -> None:
        """As `drls up` ends it."""
        assert self.keeper is not None
        self.keeper.send_signal(signal.SIGTERM)
        self.keeper.wait(60)

    def start(self, name: str = "ada") -> None:
        self.started(name)

    def started(self, name: str = "ada") -> Notebook:
        return start_notebook(self.life.ctx, self.life.as_(name))

    def status(self, name: str = "ada") -> Notebook:
        return find_notebook(self.life.ctx, self.life.as_(name))

    def give_role(self, name: str, pipeline: str = "") -> None:
        """DataEngineer on everything, or on one pipeline."""
        with self.life.store.write(SETUP, "grant") as unit:
            unit.people.add_grant(
                person_id=self.life.person(name), team_id=None, role=Role.DATA_ENGINEER.value,
                scope="pipeline" if pipeline else "everything", scope_value=pipeline, granted_by=None, revoked_at=None,
            )  # fmt: skip
            unit.audit("grant", f"person:{name}")

    def stop(self, name: str = "ada") -> None:
        stop_notebook(self.life.ctx, self.life.as_(name))

    def files(self, name: str = "ada") -> Path:
        return files_of(self.settings, self.life.person(name))

    def visit(self, name: str) -> Browser:
        """Somebody's browser, signed in."""
        self.life.give_password(name, PASSWORD)
        self._visits.append(Browser(self, name))
        return self._visits[-1]

    def processes(self) -> list[psutil.Process]:
        """Everything that the keeper has started."""
        assert self.keeper is not None
        return psutil.Process(self.keeper.pid).children(recursive=True)

    def close(self) -> None:
        for one in self._visits:
            one.http.close()
        self._server.should_exit = True
        if self.keeper is not None and self.keeper.poll() is None:
            self.keeper.send_signal(signal.SIGTERM)
            self.keeper.wait(30)
        self._thread.join(20)
        self._listening.close()


class Browser:
    """Like a browser: a session, and headers that say which page asks."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.http = httpx.Client(base_url=world.url, timeout=60, trust_env=False)
        answer = self.http.post("/sign-in", data={"account": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        self.cookie = f"{COOKIE}={self.http.cookies[COOKIE]}"

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(path, headers=headers)

    def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        own = {"Origin": self.world.url, "Sec-Fetch-Site": "same-origin"}
        return self.http.post(path, json=body, headers={**own, **headers})

    def socket(self, path: str, *, origin: str | None = None, cookie: str | None = None) -> ClientConnection:
        """A WebSocket of one of our pages, unless `origin` or `cookie` say something else."""
        headers = {"Cookie": self.cookie if cookie is None else cookie}
        return connect(
            f"{self.world.url.replace('http', 'ws')}{path}",
            additional_headers={key: value for key, value in headers.items() if value},
            origin=self.world.url if origin is None else origin or None,  # type: ignore[arg-type]
            max_size=None, proxy=None, open_timeout=60,
        )  # fmt: skip

    def run(self, code: str) -> str:
        """What a new notebook with one cell prints and shows; marimo's own server and kernel run it."""
        name = f"n{next(_NUMBERS)}.py"
        (self.world.files(self.name) / name).write_text(HEAD + CELL.format(body=indented(code)))
        return self.open(name)

    def open(self, name: str) -> str:
        """What all cells of a notebook print and show."""
        base = f"/notebook/{self.name}"
        page = self.get(f"{base}/?file={name}").text
        found = re.search(r'data-token="([^"]*)"', page)
        assert found, page[:500]
        shown: dict[str, str] = {}
        with self.socket(f"{base}/ws?session_id=s_{name[:-3]}x&file={name}") as pages:
            ready = json.loads(pages.recv(timeout=60))
            assert ready["op"] == "kernel-ready", ready
            asked = {"objectIds": [], "values": [], "autoRun": True}
            headers = {"Marimo-Session-Id": f"s_{name[:-3]}x", "Marimo-Server-Token": found[1]}
            assert self.post(f"{base}/api/kernel/instantiate", asked, **headers).json() == {"success": True}
            while (message := json.loads(pages.recv(timeout=120)))["op"] != "completed-run":
                if message["op"] == "cell-op":
                    _note(shown, message["data"])
        return "\n".join(shown.values())


def indented(code: str) -> str:
    """Code as the body of a cell."""
    return "\n".join(f"    {line}" for line in code.strip().splitlines())


def _note(shown: dict[str, str], said: dict[str, Any]) -> None:
    for one in (said.get("console"), said.get("output")):
        for part in one if isinstance(one, list) else [one]:
            if part:
                shown[said["cell_id"]] = shown.get(said["cell_id"], "") + f"{part['data']}"


def _routed(site: ASGIApp, door: ASGIApp) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (door if scope["path"].startswith(PREFIX) else site)(scope, receive, send)

    return app


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests of a module: a notebook takes seconds to start."""
    folder = tmp_path_factory.mktemp("notebooks")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("DRLS_")]:
            patch.delenv(name)
        patch.setenv("DRLS_HOME", str(folder / "home"))
        settings = load_settings()
        private_home(settings.home)
        make_table("flights__development.daily", {"day": [1, 2, 3], "delay": [0.5, 1.5, None]})
        make_table("flights.daily", {"day": [9], "delay": [9.0]})
        make_table("flights__qa.daily", {"day": [8], "delay": [8.0]})
        make_table("salaries__development.all", {"name": ["ada"]})
    clock = FakeClock()
    clock.advance(seconds=(datetime.now(UTC) - clock.now()).total_seconds())
    store = Store.create(store_url(settings), load_signing_key(signing_key_file(settings)), clock)
    life = Life(store, folder, clock)
    with store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    life.save()
    life.ctx = replace(life.ctx, tables=IcebergTables(settings), notebooks=KeptNotebooks(settings))
    made = World(life, settings)
    made.serve()
    made.keep()
    yield made
    made.close()
    store.close()
