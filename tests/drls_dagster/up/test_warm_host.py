"""The warm host: a process a run, nothing of one run in another, and an end for every run (ADR 49)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import psutil
import pytest

from drls_dagster.fences import enter
from drls_dagster.fences.fence import Fence
from drls_dagster.fences.fences import confined
from drls_dagster.fences.places import device_places, python_places, without
from drls_dagster.gate.launcher import is_of_up
from drls_dagster.gate.warm_host import KEY, LONGEST_LINE, VARIABLE, WarmHost, WarmHostError, code_here, key_of
from drls_dagster.orchestrator.instance import dagster_home
from drls_dagster.runs.run_process import FOLDER, find
from drls_dagster.settings import load_settings
from tests.drls_dagster.up.hosted import OUT, looking, meeting, staying
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
SECRET = "HOSTED_SECRET"
MEETING = 20


class Home:
    """A home with Dagster's storage and a warm host."""

    def __init__(self, folder: Path, place: Path) -> None:
        self.settings = load_settings(folder)
        self.instance = dg.DagsterInstance.from_config(str(dagster_home(self.settings)))
        (folder / "up").mkdir(mode=0o700)
        (folder / "up" / KEY).write_text(uuid.uuid4().hex)
        self.place, self.host = place, WarmHost(place, folder)
        self._out = folder / "out"
        self._out.mkdir()

    def made(self, job: dg.JobDefinition) -> tuple[str, Path]:
        """A run that nobody has started yet, and the file to which its step writes."""
        out = self._out / uuid.uuid4().hex
        origin = dg.reconstructable(job).get_python_origin()
        run = self.instance.create_run_for_job(job, tags={OUT: str(out)}, job_code_origin=origin)
        return run.run_id, out

    def status(self, run_id: str) -> str:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status.value

    def is_over(self, run_id: str) -> Callable[[], bool]:
        return lambda: self.status(run_id) in {"SUCCESS", "FAILURE", "CANCELED"}

    def said(self, run_id: str) -> str:
        return "\n".join(one.user_message or one.message for one in self.instance.all_logs(run_id))

    def interrupt(self, run_id: str) -> bool:
        process = find(self.settings.home, run_id)
        return process is not None and process.interrupt()

    def workers(self) -> list[str]:
        return [one.name for one in (self.settings.home / FOLDER).iterdir()]


@contextlib.contextmanager
def started(home: Home, listening: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    """A warm host that is ready; it and its forks are gone at the end."""
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "drls_dagster.up.warm_host.serve", "--fd", str(listening.fileno())]
    environment = {
        **os.environ,
        "DRLS_HOME": str(home.settings.home),
        "DAGSTER_HOME": str(dagster_home(home.settings)),
        "DRLS_UP_ID": mark,
        SECRET: "sesame",
    }
    with subprocess.Popen(command, pass_fds=[listening.fileno()], env=environment, cwd=ROOT) as process:
        try:
            wait_until(lambda: home.host.is_ready() or process.poll() is not None, 180)
            assert process.poll() is None
            yield process
        finally:
            for one in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    if one.environ().get("DRLS_UP_ID") == mark:
                        one.kill()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, socket.socket]]:
    place = tmp_path_factory.mktemp("h") / "host.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(place))
        listening.listen()
        found = Home(tmp_path_factory.mktemp("home"), place)
        with found.instance:
            yield found, listening


@pytest.fixture(scope="module")
def process(home: tuple[Home, socket.socket]) -> Iterator[psutil.Process]:
    with started(*home) as process:
        yield psutil.Process(process.pid)


@pytest.fixture
def hosted(home: tuple[Home, socket.socket], process: psutil.Process) -> Home:
    assert process.is_running()
    return home[0]


def test_each_run_has_a_process_that_shares_nothing_with_another(hosted: Home) -> None:
    runs = [hosted.made(looking) for _ in range(3)]
    pids = [hosted.host.launch(run_id) for run_id, _ in runs]
    for run_id, _ in runs:
        wait_until(hosted.is_over(run_id))
    assert [hosted.status(run_id) for run_id, _ in runs] == ["SUCCESS"] * 3
    seen = [json.loads(out.read_text()) for _, out in runs]
    assert [one["pid"] for one in seen] == [one["session"] for one in seen] == pids
    assert len(set(pids)) == 3
    assert [(one["before"], one["module"]) for one in seen] == [([], False)] * 3
    draws = [draw for one in seen for draw in one["random"]]
    assert len(set(draws)) == len(draws)
    assert not any({SECRET, "HOSTED_LEFT_BEHIND"} & set(one["environment"]) for one in seen)
    wait_until(lambda: not hosted.workers())
    assert not [pid for pid in pids if psutil.pid_exists(pid or 0)]


@pytest.mark.timeout(400)
def test_twenty_runs_launched_at_once_all_run_at_once_and_each_has_only_what_is_its_own(
    hosted: Home, tmp_path: Path
) -> None:
    runs = [hosted.made(meeting) for _ in range(MEETING)]
    together = tmp_path / "together"
    together.mkdir()
    with answering() as port:
        for run_id, own in runs:
            own.mkdir()
            told = {"OF": run_id, "PORT": port, "TOGETHER": str(together), "RUNS": MEETING}
            (own / "hosted_own.py").write_text("".join(f"{name} = {value!r}\n" for name, value in told.items()))
        with ThreadPoolExecutor(MEETING) as threads:
            pids = list(threads.map(hosted.host.launch, [run_id for run_id, _ in runs]))
        wait_until(lambda: all(hosted.is_over(run_id)() for run_id, _ in runs), 300)
    assert [hosted.status(run_id) for run_id, _ in runs] == ["SUCCESS"] * MEETING, hosted.said(runs[0][0])
    assert len(set(pids)) == MEETING
    seen = [json.loads((own / "seen").read_text()) for _, own in runs]
    for (run_id, own), one in zip(runs, seen, strict=True):
        assert one["module"] == [run_id, str(own / "hosted_own.py")]
        assert (one["variable"], one["environment"], one["folder"]) == ([run_id], run_id, str(own))
        assert (one["database"], one["answer"]) == ([[run_id]], f"{run_id} called")
    sockets = [name for one in seen for name in one["sockets"]]
    assert len(sockets) >= MEETING
    assert len(set(sockets)) == len(sockets), "a socket is open in two runs"
    wait_until(lambda: not hosted.workers())
    assert not [pid for pid in pids if psutil.pid_exists(pid or 0)]


@contextlib.contextmanager
def answering() -> Iterator[int]:
    """The port of a server that answers each caller with what it has said, until the block ends."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            said = self.request.recv(100)
            self.request.sendall(said + b" called")
            self.request.recv(1)  # until the caller is gone

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server.server_address[1]
        server.shutdown()
        serving.join()


def test_the_host_has_nothing_open_that_a_fork_could_share(hosted: Home, process: psutil.Process) -> None:
    assert process.net_connections("inet") == []
    assert process.open_files() == []
    assert process.num_threads() == 1


def test_a_terminated_run_is_over_and_its_process_is_gone(hosted: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a process that knows of no host, such as Dagster's command line."""
    monkeypatch.setenv("DRLS_HOME", str(hosted.settings.home))
    monkeypatch.delenv(VARIABLE, raising=False)
    run_id, out = hosted.made(staying)
    pid = hosted.host.launch(run_id)
    wait_until(out.exists)
    assert pid is not None
    assert hosted.instance.run_launcher.terminate(run_id)
    wait_until(hosted.is_over(run_id))
    assert hosted.status(run_id) == "CANCELED"
    wait_until(lambda: not hosted.workers())
    assert not psutil.pid_exists(pid)
    assert not hosted.instance.run_launcher.terminate(run_id)


def test_only_runs_of_drls_up_are_forked(hosted: Home) -> None:
    run_id, _ = hosted.made(looking)
    run = hosted.instance.get_run_by_id(run_id)
    assert run is not None
    assert not is_of_up(run)


def test_a_killed_process_is_a_failed_run_that_says_how(hosted: Home) -> None:
    run_id, out = hosted.made(staying)
    pid = hosted.host.launch(run_id)
    wait_until(out.exists)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(hosted.is_over(run_id))
    assert hosted.status(run_id) == "FAILURE"
    assert "SIGKILL" in hosted.said(run_id)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}\n",
        b"[1]\n",
        b"\xff\n",
        b'{"ask": "launch", "run_id": "../x", "key": "KEY"}\n',
        b"x" * 2 * LONGEST_LINE,
    ],
)
def test_what_is_no_request_starts_nothing_and_the_host_lives(hosted: Home, line: bytes) -> None:
    wait_until(lambda: not hosted.workers())
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.connect(str(hosted.place))
        with contextlib.suppress(OSError):
            asking.sendall(line.replace(b"KEY", key_of(hosted.settings.home).encode()))
            asking.shutdown(socket.SHUT_WR)
            assert asking.recv(LONGEST_LINE) == b""
    assert hosted.host.is_ready()
    assert not hosted.workers()


# As code in the engine would do it where no mount namespace hides the socket from it.
STRANGER = """
import json, socket, sys
place, key, asked = sys.argv[1:]
try:
    shown = open(key).read()
except OSError:
    shown = ""
with socket.socket(socket.AF_UNIX) as asking:
    asking.connect(place)
    asking.sendall(json.dumps({**json.loads(asked), "key": shown}).encode() + b"\\n")
    asking.shutdown(socket.SHUT_WR)
    print(bool(shown), asking.recv(100))
"""


@pytest.mark.skipif(not enter.landlock_abi(), reason="this kernel has no Landlock")
@pytest.mark.parametrize("ask", ["ready", "launch", "command", "serve"])
def test_code_inside_a_fence_that_reaches_the_socket_is_refused(hosted: Home, tmp_path: Path, ask: str) -> None:
    """A command would have all rights of the owner."""
    home = hosted.settings.home
    told = {
        "ask": ask,
        "run_id": hosted.made(looking)[0],
        "arguments": ["engine", "status"],
        "environment": {**os.environ, "DRLS_HOME": str(home)},
        "folder": str(tmp_path),
        "umask": 0o077,
        "code": code_here(),
    }
    given = [str(hosted.place), str(home / "up" / KEY), json.dumps(told)]
    fence = Fence(read=without(python_places(), home), write=device_places(), unix_sockets=True, strict=False)
    python = [sys.executable, "-I", "-c", STRANGER, *given]
    inside = subprocess.run(confined(fence, python), capture_output=True, text=True, check=True)
    assert inside.stdout == "False b''\n"
    assert not hosted.workers()
    if ask == "ready":  # and without a fence it is answered
        outside = subprocess.run(python, capture_output=True, text=True, check=True)
        assert outside.stdout == "True b'{}\\n'\n"


def test_without_a_host_nothing_is_started(tmp_path: Path) -> None:
    nobody = WarmHost(tmp_path / "host.sock")
    assert nobody.launch("a-run") is None
    assert not nobody.is_ready()


def test_a_host_that_ends_before_it_answers_leaves_no_doubt(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("h") / "host.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(place))
        listening.listen()
        child = os.fork()
        if child == 0:
            listening.accept()[0].close()
            os._exit(0)
        with pytest.raises(WarmHostError, match=r"did not answer .*; try again"):
            WarmHost(place).launch("a-run")
        os.waitpid(child, 0)


@pytest.mark.slow
def test_a_host_that_is_started_again_knows_the_runs_of_the_one_before(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    place = tmp_path_factory.mktemp("h") / "host.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening, contextlib.ExitStack() as both:
        listening.bind(str(place))
        listening.listen()
        home = Home(tmp_path, place)
        both.enter_context(home.instance)
        first = both.enter_context(started(home, listening))
        (kept, kept_out), (lost, lost_out) = home.made(staying), home.made(staying)
        kept_pid, lost_pid = home.host.launch(kept), home.host.launch(lost)
        wait_until(lambda: kept_out.exists() and lost_out.exists())
        assert kept_pid is not None
        assert lost_pid is not None
        first.kill()
        first.wait()
        os.kill(lost_pid, signal.SIGKILL)
        both.enter_context(started(home, listening))
        wait_until(home.is_over(lost))
        assert home.status(lost) == "FAILURE"
        assert "is gone" in home.said(lost)
        assert home.interrupt(kept)
        wait_until(home.is_over(kept))
        wait_until(lambda: not psutil.pid_exists(kept_pid))
        wait_until(lambda: not home.workers())
