"""The parent of server processes: hands connections out in turn, replaces processes, ends them all."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

PATIENCE = 60.0


@dataclass
class Small:
    """The server, and the folder in which it and the test leave files for each other."""

    process: subprocess.Popen[str]
    url: str
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def get(self, path: str) -> str:
        """Over a connection of its own."""
        return httpx.get(self.url + path, timeout=PATIENCE).text

    def wait_for(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[Small]:
    script = Path(__file__).with_name("small_server.py")
    with socket.create_server(("127.0.0.1", 0)) as listening, (folder / "log").open("w") as log:
        fd, port = listening.fileno(), listening.getsockname()[1]
        command = [sys.executable, str(script), str(fd), str(folder), *words]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(
            command, env=environment, pass_fds=[fd], stderr=log, text=True, start_new_session=True
        )
    try:
        yield Small(process, f"http://127.0.0.1:{port}", folder)
    finally:
        for one in [*_children(process.pid), process.pid]:
            if psutil.pid_exists(one):
                os.kill(one, signal.SIGKILL)
        process.wait(PATIENCE)


def _children(pid: int) -> list[int]:
    return [one.pid for one in psutil.Process(pid).children()] if psutil.pid_exists(pid) else []


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """Both processes answer."""
    with serving(tmp_path) as made:
        made.wait_for(lambda: len({made.get("/pid") for _ in range(2)}) == 2)
        yield made


def test_processes_take_connections_in_turn(small: Small) -> None:
    answered = [small.get("/pid") for _ in range(6)]
    assert len(set(answered)) == 2
    assert all(before != after for before, after in itertools.pairwise(answered))


def test_a_process_that_dies_is_replaced_and_the_other_answers_meanwhile(small: Small) -> None:
    killed, other = small.workers()
    os.kill(killed.pid, signal.SIGKILL)
    small.wait_for(lambda: f"server process {killed.pid} ended (SIGKILL); starting another one" in small.log)
    assert {small.get("/pid") for _ in range(2)} <= {str(one.pid) for one in small.workers()}
    small.wait_for(lambda: len({small.get("/pid") for _ in range(2)}) == 2)
    assert other.pid in {one.pid for one in small.workers()}


def test_a_request_that_is_being_answered_is_finished_before_the_end(small: Small) -> None:
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(small.get("/slow")))
    asking.start()
    small.wait_for((small.folder / "began").exists)
    small.process.send_signal(signal.SIGTERM)
    (small.folder / "go").touch()
    asking.join(PATIENCE)
    assert answers == ["done"]
    assert small.process.wait(PATIENCE) == 0


def test_a_second_signal_does_not_wait_for_requests(small: Small) -> None:
    failed: list[Exception] = []

    def ask() -> None:
        try:
            small.get("/slow")
        except httpx.TransportError as error:
            failed.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    small.wait_for((small.folder / "began").exists)
    workers = small.workers()
    for _ in range(2):
        small.process.send_signal(signal.SIGINT)
    assert small.process.wait(PATIENCE) == 0
    asking.join(PATIENCE)
    assert len(failed) == 1
    assert not any(one.is_running() for one in workers)


def test_processes_end_when_their_parent_is_killed(small: Small) -> None:
    workers = small.workers()
    small.process.kill()
    small.wait_for(lambda: not any(one.is_running() for one in workers))


def test_a_server_whose_first_process_cannot_start_ends_and_says_why(tmp_path: Path) -> None:
    with serving(tmp_path, "broken") as made:
        assert made.process.wait(PATIENCE) == 1
        assert "Error: the settings are wrong" in made.log
        assert "Error: no server process could start" in made.log
        assert "Traceback" not in made.log
