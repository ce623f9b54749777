"""Work in Ray also ends when its run is gone.

Ray Data gives nothing to cancel before its first result. So the runner leaves a note in the step's output folder,
which every worker can read wherever it is, and each task looks for it while the pipeline's function runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import pyarrow.fs as pafs

from drls_dagster.storage import filesystem_of

LOOK_SECONDS = 2.0


class Abandoned(Exception):
    """This task's answer is no longer wanted."""


def abandon(output: str, ticket: str) -> None:
    """Have the tasks of the request `ticket`, which writes to the folder `output`, end."""
    filesystem, folder = filesystem_of(output)
    filesystem.create_dir(folder, recursive=True)
    filesystem.open_output_stream(_note(folder, ticket)).close()


@contextmanager
def while_wanted(output: str, ticket: str, stop: Callable[[], None]) -> Iterator[threading.Event]:
    """Around a task's work. Raises Abandoned where it is wanted no more.

    Later on the event is set and `stop` called, which must end the pipeline's function: it may never come back.
    """
    if _abandoned(output, ticket):
        raise Abandoned(ticket)
    done, gone = threading.Event(), threading.Event()

    def look() -> None:
        while not done.wait(LOOK_SECONDS):
            if _abandoned(output, ticket):
                gone.set()
                stop()
                return

    threading.Thread(target=look, daemon=True).start()
    try:
        yield gone
    finally:
        done.set()


@contextmanager
def watching(connection: Connection, output: str, ticket: str) -> Iterator[threading.Event]:
    """While a caller waits at `connection`, who says nothing more; the event is set when they went away.

    Within it, nothing may be sent or received.
    """
    done, gone = threading.Event(), threading.Event()

    def look() -> None:
        while not done.wait(0.5):
            if connection.poll():  # there is nothing to hear but the end
                gone.set()
                abandon(output, ticket)
                return

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield gone
    finally:
        done.set()
        watcher.join()


def _note(folder: str, ticket: str) -> str:
    return f"{folder}/{ticket}.abandoned"


def _abandoned(output: str, ticket: str) -> bool:
    filesystem, folder = filesystem_of(output)
    return filesystem.get_file_info(_note(folder, ticket)).type == pafs.FileType.File
