"""Reloads of code locations that others ask for: in the background, one at a time, none that changes nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

# A verb pushes and a sensor asks, both because of one change: what was loaded so lately is what both mean.
FRESH_SECONDS = 20.0
_LOG = logging.getLogger(__name__)


class Reloads:
    """`reload` loads a location, `wanted` says what it should hold now (any value that compares), `then` follows."""

    def __init__(
        self, reload: Callable[[str], object], wanted: Callable[[str], object], then: Callable[[str], object]
    ) -> None:
        self._reload = reload
        self._wanted = wanted
        self._then = then
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="reload")
        self._line = threading.Lock()
        self._asked: set[str] = set()
        self._running: set[str] = set()
        self._loaded: dict[str, tuple[object, float]] = {}

    def ask(self, location: str) -> None:
        """Returns at once. What is asked while a reload runs is looked at after it."""
        with self._line:
            self._asked.add(location)
            if location in self._running:
                return
            self._running.add(location)
        self._threads.submit(self._work, location)

    def close(self) -> None:
        """Begins no further one."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _work(self, location: str) -> None:
        while True:
            with self._line:
                if location not in self._asked:
                    self._running.discard(location)
                    return
                self._asked.discard(location)
            try:
                self._once(location)
            except Exception:  # noqa: BLE001 (nobody waits for this thread)
                _LOG.exception("reloading %s failed; its deployments sensor will try again", location)

    def _once(self, location: str) -> None:
        # Before the reload: what changes during it is asked for again and then compared with this.
        wanted = self._wanted(location)
        loaded, at = self._loaded.get(location, (None, 0.0))
        if loaded == wanted and time.monotonic() - at < FRESH_SECONDS:
            return
        self._reload(location)
        self._loaded[location] = (wanted, time.monotonic())
        self._then(location)
