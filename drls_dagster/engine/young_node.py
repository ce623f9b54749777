"""Notice that Ray's own processes ended, which Ray itself does not look at.

While it starts: its node ends where one of its agents takes longer than 15 seconds to start, as on a busy machine; no
setting of Ray changes that. `ray.init` would keep waiting.

After that: Spark seems to work without the node, and Ray steps would wait for it for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from drls_dagster.processes import process_is

_NAMES = ("gcs_server", "raylet")


def node_processes() -> list[psutil.Process]:
    """Ray's own processes that this one has started."""
    found: list[psutil.Process] = []
    for child in psutil.Process().children():
        try:
            if child.name() in _NAMES:
                child.create_time()  # kept from now on
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def has_ended(processes: list[psutil.Process]) -> bool:
    return any(not process_is(one.pid, one.create_time()) for one in processes)


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
