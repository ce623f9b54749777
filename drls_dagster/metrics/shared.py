"""Counting together: the processes of one server write to files of one folder, and whichever is asked adds them up."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from drls_dagster.metrics.counting import RequestCounts
from drls_dagster.private_home import private_home
from drls_dagster.processes import process_is, started_at
from drls_dagster.settings import Settings

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def counting_folder(settings: Settings) -> Generator[Path]:
    """A folder for the processes of this server; it goes with the server. Those of killed servers go first."""
    above = private_home(settings.home, "metrics")
    for old in above.iterdir():
        pid, _, created = old.name.partition("-")
        if not (pid.isdigit() and created.isdigit() and process_is(int(pid), int(created) / 1000)):
            shutil.rmtree(old, ignore_errors=True)
    mine = above / f"{os.getpid()}-{int(started_at(os.getpid()) * 1000)}"
    mine.mkdir(mode=0o700)
    try:
        yield mine
    finally:
        shutil.rmtree(mine, ignore_errors=True)


def count_in(folder: Path) -> RequestCounts:
    """What this process counts from now on, in `folder`. Call it once in each process."""
    # The library asks this variable alone. Processes that this one starts must not count here: it goes at once, for
    # the two files that counters and histograms write to are then open.
    before = os.umask(0o077)
    os.environ[_FOLDER] = str(folder)
    try:
        values.ValueClass = values.MultiProcessValue()
        counts = RequestCounts(CollectorRegistry())
        counts.begin()
        return counts
    finally:
        del os.environ[_FOLDER]
        os.umask(before)


def added_up(folder: Path) -> Collector:
    """What all processes of the server counted, also those that have ended."""
    return MultiProcessCollector(None, str(folder))
