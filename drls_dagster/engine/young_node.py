"""Notice that Ray's own processes ended, which Ray itself does not look at.

While it starts: its node ends where one of its agents takes longer than 15 seconds to start, as on a busy machine; no
setting of Ray changes that. `ray.init` would keep waiting.

After that: Spark seems to work without the node, and Ray steps would wait for it for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psutil

from drls_dagster.processes import process_is

_NAMES = ("gcs_server", "raylet")


def node_processes() -> dict[psutil.Process, str]:
    """Ray's own processes that this one has started, with their names."""
    found: dict[psutil.Process, str] = {}
    for child in psutil.Process().children():
        try:
            name = child.name()
            if name in _NAMES:
                child.create_time()  # kept from now on
                found[child] = name
        except psutil.NoSuchProcess:
            continue
    return found


def first_ended(processes: Mapping[psutil.Process, str]) -> str | None:
    """The name of one that is no more; None while all are there."""
    return next((name for one, name in processes.items() if not process_is(one.pid, one.create_time())), None)


@contextmanager
def young_node(ended: Callable[[str], None], every: float = 0.5) -> Iterator[None]:
    """Calls `ended` with its name, in another thread, when a Ray process that this one started ends meanwhile."""
    over = threading.Event()

    def look() -> None:
        seen: dict[psutil.Process, str] = {}
        while not over.wait(every):
            seen |= node_processes()
            if (name := first_ended(seen)) is not None:
                ended(name)
                return

    thread = threading.Thread(target=look, name="young-node", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
