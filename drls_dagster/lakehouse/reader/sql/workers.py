"""The processes that queries run in: at most two, kept for the next query, killed when they do not answer in time."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pickle
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from lifecycle.errors import DrlsError, TooMany, Unavailable

DUCKDB = "drls_dagster.lakehouse.reader.sql.worker"
_AT_ONCE = 2
_PATIENCE = 20.0  # seconds in which a query must get its turn
_MOST_ANSWER = 100_000_000
_START_SECONDS = 120.0  # on a machine that does much else


class WorkerGone(DrlsError):
    """The process ended before it answered."""


class Worker:
    """One process, which runs `module`; use `ask` only from one thread at a time."""

    def __init__(self, memory: str, module: str = DUCKDB) -> None:
        self.memory = memory
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, memory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> None:
        """Until it is ready. Raises Unavailable when it does not get there."""
        try:
            self._answer(time.monotonic() + _START_SECONDS)
        except (WorkerGone, TimeoutError):
            self.end()
            raise Unavailable("the process that queries run in did not start; try again") from None

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Raises WorkerGone when it ended, TimeoutError when it did not answer; it is of no use then."""
        assert self._process.stdin is not None  # noqa: S101
        body = pickle.dumps(request)
        try:
            self._process.stdin.write(len(body).to_bytes(8, "big") + body)
            self._process.stdin.flush()
        except OSError:
            raise WorkerGone("the query process ended") from None
        return self._answer(time.monotonic() + seconds)

    def _answer(self, until: float) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101
        size = int.from_bytes(_read(self._process.stdout, 8, until), "big")
        if size > _MOST_ANSWER:
            raise WorkerGone("the query process answered more than it may")
        found: dict[str, Any] = json.loads(_read(self._process.stdout, size, until))
        return found

    def end(self) -> None:
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()


class Workers:
    """The workers of this process that run `module`."""

    def __init__(self, module: str = DUCKDB) -> None:
        self._module = module
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._line = threading.Lock()
        self._idle: list[Worker] = []

    @contextmanager
    def one(self, memory: str) -> Iterator[Worker]:
        """A worker for one query. Raises TooMany when others take all of them for too long."""
        if not self._turns.acquire(timeout=_PATIENCE):
            raise TooMany(f"{_AT_ONCE} queries are already running; try again in a minute", retry_after=60)
        try:
            worker = self._take(memory)
            try:
                yield worker
            except DrlsError:
                self._keep(worker)
                raise
            except BaseException:
                worker.end()
                raise
            self._keep(worker)
        finally:
            self._turns.release()

    def close(self) -> None:
        """Ends those that wait for the next query."""
        with self._line:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def _keep(self, worker: Worker) -> None:
        """For the next query; a refusal is an answer like others."""
        if worker.is_alive:
            with self._line:
                self._idle.append(worker)

    def _take(self, memory: str) -> Worker:
        while True:
            with self._line:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                made = Worker(memory, self._module)
                made.wait()
                return made
            if worker.is_alive and worker.memory == memory:
                return worker
            worker.end()


_LINE = threading.Lock()
_OF: dict[tuple[int, str], Workers] = {}


def workers(module: str = DUCKDB) -> Workers:
    """Those of this process that run `module`: one that was forked has its own."""
    here = (os.getpid(), module)
    with _LINE:
        for key in [key for key in _OF if key[0] != here[0]]:
            del _OF[key]
        if here not in _OF:
            made = _OF[here] = Workers(module)
            atexit.register(made.close)
        return _OF[here]


def _read(stream: IO[bytes], size: int, until: float) -> bytes:
    found = bytearray()
    while len(found) < size:
        left = until - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            raise TimeoutError
        piece = os.read(stream.fileno(), min(size - len(found), 1_000_000))
        if not piece:
            raise WorkerGone("the query process ended")
        found += piece
    return bytes(found)
