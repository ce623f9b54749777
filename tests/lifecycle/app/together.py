"""Two people, or one person's two clicks, at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")


def together(*acts: Callable[[], Answer]) -> list[Answer]:
    """What each answered, in their order; all begin when all are ready."""
    ready = threading.Barrier(len(acts))

    def act(one: Callable[[], Answer]) -> Answer:
        ready.wait(30)
        return one()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [answer.result(60) for answer in [pool.submit(act, one) for one in acts]]
