"""One `drls up` for all tests of a module, as people start it."""

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
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from drls_dagster.engine.processes import processes_of
from drls_dagster.up.layout import MARK
from lifecycle.audit.keys import SigningKey
from lifecycle.store.store import Store
from tests.fakes.clock import FakeClock
from tests.lifecycle.life import Life
from tests.waiting import wait_until

READY_SECONDS = 120.0


@dataclass
class Up:
    """A running `drls up` and what it has printed."""

    home: Path
    port: int
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def link(self) -> str:
        """The secret of the sign-in link."""
        found = re.search(r"/sign-in#(\S+)", "".join(self.lines))
        assert found, self.lines
        return found[1]

    @property
    def token(self) -> str:
        return (self.home / "secret").read_text().strip()

    @property
    def up_id(self) -> str:
        return json.loads((self.home / "up" / "state.json").read_text())["up_id"]

    def has_said(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def drls(self, *arguments: str, stdin: str = "", token: str | None = None) -> subprocess.CompletedProcess[str]:
        """Another command of the same home."""
        command = [sys.executable, "-m", "drls_dagster.cli.main", *arguments]
        environment = {**environment_of(self.home), **({"DRLS_TOKEN": token} if token else {})}
        return subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, check=False)


def environment_of(home: Path) -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if not k.startswith("DRLS_")}, "DRLS_HOME": str(home)}


def start_up(home: Path, *options: str, seconds: float = READY_SECONDS) -> Up:
    """Starts it on a free port and waits, at most so many seconds, until all of it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "drls_dagster.cli.main", "up", "--port", str(port), *options]
    process = subprocess.Popen(
        command, env={**environment_of(home), "PYTHONUNBUFFERED": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    up = Up(home, port, process)
    threading.Thread(target=_read, args=(up,), daemon=True).start()
    try:
        wait_until(lambda: up.has_said("up in") or process.poll() is not None, seconds)
        assert process.poll() is None, up.lines
    except AssertionError:
        process.terminate()
        process.wait(60)
        raise
    return up


def _read(up: Up) -> None:
    assert up.process.stdout is not None
    with up.process.stdout as out:
        up.lines.extend(iter(out.readline, ""))


def left_of(up_id: str) -> list[psutil.Process]:
    """What still runs of a `drls up`, its watchdog included."""
    watchdogs = [one for one in psutil.process_iter(["cmdline"]) if up_id in (one.info["cmdline"] or ())]
    return [*processes_of(up_id, MARK), *watchdogs]


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    """People and one pipeline, on a store of its own."""
    store = Store.create(f"sqlite:///{tmp_path / 'lifecycle.db'}", SigningKey.generate(), FakeClock())
    yield Life(store, tmp_path, FakeClock())
    store.close()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    started = start_up(tmp_path_factory.mktemp("up") / "home")
    yield from until_stopped(started)


def until_stopped(started: Up) -> Iterator[Up]:
    """Gives it, then stops it as Ctrl-C does; nothing may be left."""
    up_id = started.up_id
    yield started
    if started.process.poll() is None:
        started.process.send_signal(signal.SIGINT)
        started.process.wait(60)
    assert left_of(up_id) == []
