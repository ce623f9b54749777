"""A thread that says again and again that this process lives."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from lifecycle.errors import StoreError

_LOG = logging.getLogger(__name__)
_AGAIN_SECONDS = 1.0


class Heartbeat:
    """Calls `beat` every `seconds`; more often while it fails. A failure never ends the run, and is logged once."""

    def __init__(self, beat: Callable[[], None], seconds: float) -> None:
        self._beat = beat
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins; without effect when it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._go_on, name="drls-heartbeat", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends it, after the beat that is under way."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(_AGAIN_SECONDS)

    def _go_on(self) -> None:
        wait, failed = self._seconds, False
        while not self._stopped.wait(wait):
            wait = self._seconds
            try:
                self._beat()
                failed = False
            except Exception as error:  # noqa: BLE001 whatever it is, the run continues
                wait = min(self._seconds, _AGAIN_SECONDS)
                if not failed:
                    known = isinstance(error, StoreError)
                    _LOG.warning("the heartbeat of this process cannot be written: %s", error, exc_info=not known)
                failed = True
