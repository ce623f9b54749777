"""The parent: it listens, hands connections out, replaces workers that died, and ends all of them."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass

from drls_dagster.errors import DrlsError

READY = b"r"
CONNECTION = b"c"
STOP_SECONDS = 10.0
AGAIN_SECONDS = 1.0
PAUSE_SECONDS = 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class _Worker:
    """A process, and the socket over which it gets connections; the process's end closes it."""

    pid: int
    channel: socket.socket
    ready: bool = False


class Supervisor:
    """Use `run`, in the main thread of a process that has no other work."""

    def __init__(
        self,
        listening: socket.socket,
        count: int,
        work: Callable[[socket.socket], None],
        log: Callable[[str], object],
    ) -> None:
        """`work` is called in each of `count` processes, with its channel; see `worker.serve_connections`."""
        self._listening = listening
        self._count = count
        self._work = work
        self._log = log
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._turn = 0
        self._missing_until = 0.0
        self._was_ready = False
        self._stops = 0

    def run(self) -> None:
        """Serves until SIGINT or SIGTERM; a second one does not wait for requests that are being answered.

        Raises DrlsError when the first workers cannot start.
        """
        self._listening.setblocking(False)
        with self._signals() as woken:
            self._selector.register(woken, selectors.EVENT_READ)
            self._selector.register(self._listening, selectors.EVENT_READ)
            try:
                while not self._stops:
                    self._fill_up()
                    self._turn_once(woken)
            finally:
                self._stop()

    @contextlib.contextmanager
    def _signals(self) -> Generator[socket.socket]:
        """Both signals only count; the socket becomes readable with each."""

        def count(_signal: int, _frame: object) -> None:
            self._stops += 1

        woken, wake = socket.socketpair()
        woken.setblocking(False)
        wake.setblocking(False)
        before = {one: signal.signal(one, count) for one in _SIGNALS}
        fd = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        try:
            yield woken
        finally:
            signal.set_wakeup_fd(fd)
            for one, handler in before.items():
                signal.signal(one, handler)
            woken.close()
            wake.close()

    def _turn_once(self, woken: socket.socket) -> None:
        for key, _ in self._selector.select(self._wait()):
            if key.fileobj is woken:
                with contextlib.suppress(BlockingIOError):
                    woken.recv(64)
            elif key.fileobj is self._listening:
                self._accept()
            else:
                self._hear(key.data)

    def _wait(self) -> float | None:
        """Connections that no worker can take yet wait in the backlog, which must not keep this process busy."""
        missing = len(self._workers) < self._count
        return max(0.0, self._missing_until - time.monotonic()) if missing else None

    def _fill_up(self) -> None:
        if time.monotonic() < self._missing_until:
            return
        while len(self._workers) < self._count:
            self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        # Both would write what is in a buffer.
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal that came before the worker is ready for it would count in the parent's way there, and be lost.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            self._be_worker(ours, theirs)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        ours.setblocking(False)
        worker = _Worker(pid, ours)
        self._workers.append(worker)
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def _be_worker(self, ours: socket.socket, theirs: socket.socket) -> None:
        """Never returns. Nothing of the parent's stays open: a worker sees by its channel that the parent is gone."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            # A terminal sends Ctrl-C to everybody; the parent passes on what is meant.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            for worker in self._workers:
                worker.channel.close()
            ours.close()
            self._listening.close()
            self._selector.close()
            self._work(theirs)
            status = 0
        except DrlsError as error:
            self._log(f"Error: {error.message}")
        except BaseException:  # noqa: BLE001 (whatever it is, the parent's code must not run here)
            self._log(traceback.format_exc().rstrip())
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.flush()
            os._exit(status)

    def _accept(self) -> None:
        if not any(worker.ready for worker in self._workers):
            self._listen(False)
            return
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            # The machine has no file descriptor left; the connection waits in the backlog.
            self._log(f"cannot take a connection ({error.strerror}); trying again")
            time.sleep(PAUSE_SECONDS)
            return
        with connection:
            self._hand_out(connection)

    def _hand_out(self, connection: socket.socket) -> None:
        ready = [worker for worker in self._workers if worker.ready]
        for _ in ready:
            self._turn += 1
            worker = ready[self._turn % len(ready)]
            try:
                socket.send_fds(worker.channel, [CONNECTION], [connection.fileno()])
            except OSError:
                # It is full, or dying, which its channel will say; the next one takes it.
                continue
            return

    def _hear(self, worker: _Worker) -> None:
        try:
            said = worker.channel.recv(64)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said:
            worker.ready = self._was_ready = True
            self._listen(True)
            return
        how = self._bury(worker)
        if self._stops:
            return
        if not self._was_ready:
            raise DrlsError("no server process could start; see its output above")
        self._log(f"server process {worker.pid} ended ({how}); starting another one")
        # One that dies while it starts would start all the time.
        if not worker.ready:
            self._missing_until = time.monotonic() + AGAIN_SECONDS

    def _listen(self, on: bool) -> None:
        """Whether to look for connections at all."""
        registered = self._listening in self._selector.get_map()
        if on and not registered:
            self._selector.register(self._listening, selectors.EVENT_READ)
        elif registered and not on:
            self._selector.unregister(self._listening)

    def _bury(self, worker: _Worker) -> str:
        """Takes a worker whose channel is closed off the list; how it ended, in words."""
        self._selector.unregister(worker.channel)
        worker.channel.close()
        self._workers.remove(worker)
        code = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def _stop(self) -> None:
        self._listening.close()
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGTERM)
        for worker in list(self._workers):
            while self._is_running(worker):
                if time.monotonic() > deadline or self._stops > 1:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGKILL)
                time.sleep(0.02)
            worker.channel.close()
        self._workers.clear()
        self._selector.close()

    def _is_running(self, worker: _Worker) -> bool:
        return os.waitpid(worker.pid, os.WNOHANG)[0] == 0
