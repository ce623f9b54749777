from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

WAIT_SECONDS = 60
SCRAPE = "a-token-of-some-letters-1234"


@dataclass
class Served:
    """`drls serve` with two workers, in a process group of its own as a terminal makes one."""

    process: subprocess.Popen[str]
    url: str
    token: str
    log: Path

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def client(self) -> httpx.Client:
        """A connection of its own, which one worker answers for as long as it lasts."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=WAIT_SECONDS)

    def health(self) -> int:
        with self.client() as client:
            return client.get("/api/health").status_code

    def wait_for(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not true():
            assert time.monotonic() < deadline, self.log.read_text()


@pytest.fixture
def served(drls_home: Path, tmp_path: Path) -> Generator[Served]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "drls_dagster.cli.main", "serve", "--port", str(port), "--workers", "2"]
    log = tmp_path / "serve.log"
    with log.open("w") as out:
        scraped = {"DRLS_METRICS__TOKEN": "env:SCRAPE", "SCRAPE": SCRAPE}
        environment = {**os.environ, "DRLS_HOME": str(drls_home), **scraped}
        process = subprocess.Popen(command, env=environment, stderr=out, text=True, start_new_session=True)
    one = Served(process, f"http://127.0.0.1:{port}", "", log)
    try:
        one.wait_for(lambda: process.poll() is not None or _answers(one))
        one.token = (drls_home / "secret").read_text().strip()
        one.wait_for(lambda: len(one.workers()) == 2)
        yield one
    finally:
        # The whole group: what a test left behind ends, too.
        for still in [*_children(process.pid), process.pid]:
            _kill(still)
        process.wait(WAIT_SECONDS)


def _answers(served: Served) -> bool:
    try:
        return served.health() == 200
    except httpx.TransportError:
        return False


def _children(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children()] if psutil.pid_exists(pid) else []


def _kill(pid: int) -> None:
    if psutil.pid_exists(pid):
        os.kill(pid, signal.SIGKILL)


def test_a_served_home_answers_on_loopback_asks_for_a_token_and_stops_when_told(served: Served) -> None:
    assert httpx.get(f"{served.url}/api/pipeline-defs").status_code == 401
    with served.client() as client:
        assert client.get("/api/pipeline-defs").status_code == 200
    workers = served.workers()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(WAIT_SECONDS) == 0
    assert not any(worker.is_running() for worker in workers)


@pytest.mark.slow
def test_connections_are_spread_evenly_over_the_workers(served: Served) -> None:
    served.wait_for(lambda: _spread(served) == [2, 2])


def _spread(served: Served) -> list[int]:
    """How many of four connections each worker has; a worker that is still starting gets none."""
    clients = [served.client() for _ in range(4)]
    try:
        for client in clients:
            assert client.get("/api/health").status_code == 200
        return [
            sum(one.status == psutil.CONN_ESTABLISHED for one in worker.net_connections("tcp"))
            for worker in served.workers()
        ]
    finally:
        for client in clients:
            client.close()


@pytest.mark.slow
def test_a2_the_lock_out_of_one_worker_is_that_of_all(served: Served) -> None:
    served.wait_for(lambda: _spread(served) == [2, 2])
    wrong = {"account": "admin", "password": "not this one"}

    def sign_in() -> int:
        return httpx.post(f"{served.url}/api/session", json=wrong, timeout=WAIT_SECONDS).status_code

    # Each on a connection of its own: the workers take turns, so none of them sees five of them.
    assert [sign_in() for _ in range(5)] == [401] * 5
    assert [sign_in() for _ in range(4)] == [429] * 4
    with served.client() as client:
        attempts = client.get("/api/audit", params={"verb": "sign_in.attempt"}).json()["items"]
    assert [one["body"]["host"] for one in attempts] == ["127.0.0.1"] * 5


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_the_others_go_on(served: Served) -> None:
    served.wait_for(lambda: _spread(served) == [2, 2])
    killed, other = served.workers()
    os.kill(killed.pid, signal.SIGKILL)
    served.wait_for(lambda: f"server process {killed.pid} ended (SIGKILL)" in served.log.read_text())
    assert [served.health() for _ in range(4)] == [200] * 4
    served.wait_for(lambda: _spread(served) == [2, 2])
    now = {worker.pid for worker in served.workers()}
    assert other.pid in now
    assert killed.pid not in now


def test_metrics_add_up_over_the_workers_also_over_one_that_was_killed(served: Served, drls_home: Path) -> None:
    served.wait_for(lambda: _spread(served) == [2, 2])
    before = _counted(served)
    assert before >= 4
    killed = served.workers()[0]
    os.kill(killed.pid, signal.SIGKILL)
    served.wait_for(lambda: len(served.workers()) == 2 and killed.pid not in {one.pid for one in served.workers()})
    served.wait_for(lambda: _spread(served) == [2, 2])
    # Whichever worker is asked says the same.
    assert len({_counted(served) for _ in range(4)}) == 1
    assert _counted(served) >= before + 4
    with served.client() as client:
        assert client.get("/metrics").status_code == 401
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(WAIT_SECONDS) == 0
    assert list((drls_home / "metrics").iterdir()) == []


def _counted(served: Served) -> float:
    """How many requests for the health were answered, by all workers."""
    shown = {"Authorization": f"Bearer {SCRAPE}"}
    text = httpx.get(f"{served.url}/metrics", headers=shown, timeout=WAIT_SECONDS).text
    lines = [line for line in text.splitlines() if line.startswith("drls_http_requests_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if 'route="/api/health"' in line)


def test_ctrl_c_ends_everything_also_while_somebody_listens_to_changes(served: Served) -> None:
    workers = served.workers()
    with served.client() as client, client.stream("GET", "/api/events") as stream:
        assert next(stream.iter_lines()) == "retry: 2000"
        os.killpg(served.process.pid, signal.SIGINT)
        assert served.process.wait(WAIT_SECONDS) == 0
    assert not any(worker.is_running() for worker in workers)
    assert "Traceback" not in served.log.read_text()


@pytest.mark.slow
def test_workers_end_with_a_parent_that_was_killed(served: Served) -> None:
    workers = served.workers()
    os.kill(served.process.pid, signal.SIGKILL)
    served.wait_for(lambda: not any(worker.is_running() for worker in workers))


@pytest.mark.slow
def test_a_change_through_one_worker_is_seen_through_the_other(served: Served) -> None:
    served.wait_for(lambda: _spread(served) == [2, 2])
    with served.client() as one, served.client() as other, other.stream("GET", "/api/events") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 2000"
        assert one.post("/api/teams", json={"name": "risk"}).status_code == 201
        assert "team.added" in next(line for line in lines if line.startswith("data:"))


def test_a_port_that_is_taken_is_said_in_one_line(drls_home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "drls_dagster.cli.main", "serve", "--port", str(port)]
        environment = {**os.environ, "DRLS_HOME": str(drls_home)}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False
        )
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if "cannot listen" in line]
    assert said == [
        f"Error: cannot listen on 127.0.0.1:{port} (Address already in use); choose another address with --host and --port"
    ]
