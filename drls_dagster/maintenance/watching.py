"""While an operation works: its heartbeat, its progress, and whether somebody wants it to stop."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from drls_dagster.errors import DrlsError
from drls_dagster.ledger import Ledger
from drls_dagster.maintenance.work import Cancelled
from lifecycle.domain.operations import Progress
from lifecycle.errors import StoreError

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 0.4
_PATIENCE_SECONDS = 1.0
_TELL_SECONDS = 0.5
_WAKE = signal.SIGUSR1


class Stopped(DrlsError):
    """The operating system, or who runs it, ended the process."""


class Watch:
    """In the main thread of the operation's own process.

    Whoever reports progress hears of a cancellation at once; where nobody reports for a second, it is raised in the
    main thread wherever that is, except within `shield`.
    """

    def __init__(self, ledger: Ledger, number: int, heartbeat: float) -> None:
        self._ledger, self._number, self._heartbeat = ledger, number, heartbeat
        self._unwanted, self._over = threading.Event(), threading.Event()
        self._shields = 0
        self._raised = False
        self._told_at = 0.0
        self._last: Progress | None = None
        self._main = threading.main_thread()
        self._thread = threading.Thread(target=self._look_after, name="drls-operation-watch", daemon=True)

    def start(self) -> None:
        signal.signal(_WAKE, self._woken)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop)
        self._thread.start()

    def stop(self) -> None:
        """From now on nothing interrupts the main thread."""
        self._over.set()
        signal.signal(_WAKE, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        self._thread.join(_PATIENCE_SECONDS)
        self._tell()

    def report(self, progress: Progress) -> None:
        """Raises Cancelled where somebody wants it to stop. From whichever thread."""
        self._last = progress
        self.check()
        if time.monotonic() - self._told_at > _TELL_SECONDS:
            self._tell()

    def check(self) -> None:
        if self._unwanted.is_set():
            _cancel()

    @contextmanager
    def shield(self) -> Generator[None]:
        """A step that is either done or not: a cancellation waits for its end. Other threads are never interrupted."""
        if threading.current_thread() is not self._main:
            yield
            return
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1

    def _tell(self) -> None:
        self._told_at = time.monotonic()
        if self._last is not None:
            _try(lambda: self._ledger.show_progress(self._number, self._told()))

    def _told(self) -> dict[str, object]:
        return self._last.model_dump(mode="json") if self._last else {}

    def _look_after(self) -> None:
        beat_at = time.monotonic()
        since: float | None = None
        while not self._over.wait(_LOOK_SECONDS):
            now = time.monotonic()
            if now - beat_at > self._heartbeat:
                beat_at = now
                _try(lambda: self._note(self._ledger.beat_operation(self._number)))
            else:
                _try(lambda: self._note(self._ledger.is_unwanted(self._number)))
            if not self._unwanted.is_set():
                continue
            since = since if since is not None else now
            if now - since > _PATIENCE_SECONDS and not self._raised and not self._shields and self._main.ident:
                signal.pthread_kill(self._main.ident, _WAKE)

    def _note(self, unwanted: bool) -> None:
        if unwanted:
            self._unwanted.set()

    def _woken(self, _number: int, _frame: FrameType | None) -> None:
        if self._unwanted.is_set() and not self._shields and not self._raised:
            self._raised = True
            _cancel()


def _try(act: Callable[[], object]) -> None:
    try:
        act()
    except StoreError as error:  # the next look tries again
        _LOG.warning("the ledger does not answer: %s", error.message)


def _cancel() -> NoReturn:
    raise Cancelled("somebody cancelled the operation")


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    raise Stopped("its process was stopped; run it again to complete it")
