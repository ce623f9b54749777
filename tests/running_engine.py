"""A home's engine for all tests that share it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drls_dagster import settings
from drls_dagster.engine import client
from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.state import read_state

# Tests ask Spark for a thousand small things, each once: what the optimizing compiler takes, it never gives back.
ONCE = "-XX:TieredStopAtLevel=1"


@contextmanager
def running_engine(
    folders: pytest.TempPathFactory, prepare: Callable[[Path], None] = lambda _: None, **environment: str
) -> Iterator[settings.Settings]:
    """The settings of a home with a running engine, gone at the end. `prepare` writes what the home has before.

    DRLS_TEST_HOME names a home whose engine stays warm between test runs: for development.
    """
    kept = os.environ.get("DRLS_TEST_HOME")
    home = Path(kept) if kept else folders.mktemp("drls")
    prepare(home)
    settings._load.cache_clear()
    found = settings.load_settings(home)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"JAVA_TOOL_OPTIONS": ONCE, **environment}.items():
            patch.setenv(name, value)
        client.ensure_engine(found)
        yield found
    if kept:
        for process in client._STARTED:
            process.returncode = 0  # it is meant to outlive this process, which would warn of that
        return
    state = read_state(found)
    client.stop(found, force=True)
    assert state is None or not processes_of(state.engine_id), "the engine left a process"
