"""Waiting for what another process or thread brings about, with a bound."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(done: Callable[[], object], seconds: float = 60) -> None:
    """Returns when it is done. Raises AssertionError when it is not done in time."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"it did not come about in {seconds:g} s"
        time.sleep(0.05)
