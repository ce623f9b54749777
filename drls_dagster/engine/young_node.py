"""Notice that Ray's own processes ended while Ray starts, which Ray itself does not look at.

Its node ends where one of its agents takes longer than 15 seconds to start, as on a busy machine; no setting of Ray
changes that. `ray.init` would keep waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from drls_dagster.processes import process_is

_NAMES = ("gcs_server", "raylet")


@contextmanager
def young_node(ended: Callable[[str], None], every: float = 0.5) -> Iterator[None]:
    """Calls `ended` with its name, in another thread, when a Ray process that this one started ends meanwhile."""
    over = threading.Event()

    def look() -> None:
        me = psutil.Process()
        seen: dict[psutil.Process, str] = {}
        while not over.wait(every):
            for child in me.children():
                try:
                    name = child.name()
                except psutil.NoSuchProcess:
                    continue
                if name in _NAMES:
                    seen[child] = name
            for child, name in seen.items():
                if not process_is(child.pid, child.create_time()):
                    ended(name)
                    return

    thread = threading.Thread(target=look, name="young-node", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
