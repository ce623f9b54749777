"""The process of the warm host: it imports, listens on a socket that it inherits, and forks.

It builds no definitions, opens no store and starts no thread, so that a fork is a fresh process with the imports done.
What it is started with of an environment are the variables of a run; code servers and commands are handed the others.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hmac
import importlib
import json
import logging
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from drls_dagster.gate.warm_host import COMMAND, IS_READY, LAUNCH, LONGEST_LINE, SERVE, code_here, key_of
from drls_dagster.home import home_folder
from drls_dagster.runs.run_process import RUN_ID
from drls_dagster.up.warm_host.workers import Ended, Workers

# What processes of runs, code servers and commands import.
PRELOADED = ("drls_dagster.definitions", "drls_dagster.up.warm_host.work", "drls_dagster.up.warm_host.command")
# NumPy's and Arrow's libraries start threads when they are loaded, but for these; a fork has none of them.
_NO_THREADS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
LOOK_SECONDS = 0.2
_CLIENT_SECONDS = 2.0
_FILES = 3
_log = logging.getLogger(__name__)
Work = Callable[[], None]


class Asked(NamedTuple):
    """A request, and the files that came with it."""

    said: dict[str, Any]
    files: list[int]


class Host:
    """Answers one client at a time: a fork takes a few milliseconds."""

    def __init__(self, listening: socket.socket, workers: Workers, key: str) -> None:
        self._listening = listening
        self._key = key.encode()
        self._workers = workers
        self._reports: dict[int, Ended] = {}
        self._servers: set[int] = set()

    def serve(self) -> Work:
        """Returns in the processes that it forks alone: what each is there for."""
        while True:
            work = self._look_after()
            if work is None:
                seconds = LOOK_SECONDS if len(self._workers) or self._reports or self._servers else None
                ready, _, _ = select.select([self._listening], [], [], seconds)
                work = self._answer() if ready else None
            if work is not None:
                return work

    def _answer(self) -> Work | None:
        client, _ = self._listening.accept()
        with client, contextlib.ExitStack() as stack:
            client.settimeout(_CLIENT_SECONDS)
            try:
                asked = _read(client)
                for one in asked.files:
                    stack.callback(os.close, one)
                return self._started(client, asked)
            except (OSError, ValueError, KeyError, TypeError) as error:
                _log.warning("a request was not answered: %s", error)
        return None

    def _started(self, client: socket.socket, asked: Asked) -> Work | None:
        if not self._key or not hmac.compare_digest(str(asked.said.get("key", "")).encode(), self._key):
            raise ValueError("it does not show this host's key")
        verb = asked.said["ask"]
        if verb == IS_READY:
            _say(client, {})
        elif verb == LAUNCH:
            run_id = _run_id(asked.said)
            pid = self._fork()
            if pid == 0:
                return partial(_execute, run_id)
            self._workers.add(run_id, pid)
            _say(client, {"pid": pid})
        elif verb == SERVE:
            work = _code_server(asked.said)
            pid = self._fork()
            if pid == 0:
                for to, one in enumerate(asked.files, 1):
                    os.dup2(one, to)
                return work
            self._servers.add(pid)
            _say(client, {"pid": pid})
        elif verb == COMMAND and asked.said["code"] != code_here():
            _say(client, {})
        elif verb == COMMAND:
            command = _command(asked.said)
            pid = self._fork()
            if pid == 0:
                for to, one in enumerate(asked.files):
                    os.dup2(one, to)
                return partial(command, os.dup(client.fileno()))
            self._servers.add(pid)
        else:
            raise ValueError("it asks for nothing that is known")
        return None

    def _look_after(self) -> Work | None:
        """Has somebody fail the runs whose process is gone; those are forks as well, for Dagster's storage."""
        self._servers = {pid for pid in self._servers if os.waitpid(pid, os.WNOHANG)[0] == 0}
        for pid, of in list(self._reports.items()):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self._reports[pid]
                if os.waitstatus_to_exitcode(status) == 0:
                    self._workers.forget(of.run_id)
                else:
                    _log.error("the end of run %s could not be reported; it is tried at the next start", of.run_id)
        for one in self._workers.ended():
            pid = self._fork()
            if pid == 0:
                return partial(_report, one)
            self._reports[pid] = one
        return None

    def _fork(self) -> int:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            self._listening.close()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return pid


def _execute(run_id: str) -> None:
    from drls_dagster.up.warm_host.work import execute

    execute(run_id)


def _report(one: Ended) -> None:
    from drls_dagster.up.warm_host.work import report_gone

    report_gone(one.run_id, one.exit_code)


def _code_server(said: dict[str, Any]) -> Work:
    from drls_dagster.up.warm_host.work import serve_code

    arguments, environment = [str(one) for one in said["arguments"]], dict[str, str](said["environment"])
    return partial(serve_code, arguments, environment, str(said["folder"]))


def _command(said: dict[str, Any]) -> Callable[[int], None]:
    from drls_dagster.up.warm_host.command import run_command

    arguments, environment = [str(one) for one in said["arguments"]], dict[str, str](said["environment"])
    return partial(run_command, arguments, environment, str(said["folder"]), int(said["umask"]))


def _read(client: socket.socket) -> Asked:
    line, files, _, _ = socket.recv_fds(client, LONGEST_LINE, _FILES)
    while line and not line.endswith(b"\n") and len(line) < LONGEST_LINE:
        more = client.recv(LONGEST_LINE)
        if not more:
            break
        line += more
    said = json.loads(line)
    if not isinstance(said, dict):
        raise TypeError("it is not an object")
    return Asked(said, list(files))


def _run_id(said: dict[str, Any]) -> str:
    run_id = said["run_id"]
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise ValueError("it does not name a run")
    return run_id


def _say(client: socket.socket, answer: dict[str, Any]) -> None:
    client.sendall(json.dumps(answer).encode() + b"\n")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--fd", type=int, required=True)
    arguments.add_argument("--stripped", action="store_true")
    given = arguments.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    if not given.stripped:
        _become_stripped(given.fd)
    _preload()
    home = home_folder()
    work = Host(socket.socket(fileno=given.fd), Workers(home), key_of(home)).serve()
    work()


def _become_stripped(fd: int) -> None:
    """Starts again with the variables of a run: what a fork shows of its environment is what its host started with."""
    from drls_dagster.locations.run_processes import run_variables
    from drls_dagster.settings import load_settings

    allowed = run_variables(load_settings())
    variables = {name: value for name, value in os.environ.items() if name in allowed}
    os.set_inheritable(fd, True)
    again = [sys.executable, "-m", "drls_dagster.up.warm_host.serve", "--fd", str(fd), "--stripped"]
    os.execve(sys.executable, again, variables)  # noqa: S606  this Python, without a shell


def _preload() -> None:
    os.environ.update(_NO_THREADS)
    for name in PRELOADED:
        importlib.import_module(name)
    for name in _NO_THREADS:
        del os.environ[name]
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        _log.warning("%d threads are there before the first fork; what they hold is locked in each", threads)
    gc.collect()
    gc.freeze()  # a collection in a fork would write to every page, and so copy it


if __name__ == "__main__":
    main()
