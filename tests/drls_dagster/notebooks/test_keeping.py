"""How notebooks start and end: once for each person, within limits, and never without whoever keeps them."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from drls_dagster.notebooks.port import KeptNotebooks
from drls_dagster.settings import load_settings
from lifecycle.domain.notebooks import NotebookState
from lifecycle.errors import Refused, TooMany
from tests.drls_dagster.notebooks.conftest import World
from tests.waiting import wait_until

pytestmark = [pytest.mark.tables, pytest.mark.slow]

MANY = """
import subprocess, sys
for _ in range(3):
    subprocess.Popen([sys.executable, "-c", "import time; kept = b'x' * 100_000_000; time.sleep(300)"])
"""


def test_a9_two_starts_at_once_are_one_notebook(world: World) -> None:
    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda _: world.started(), range(2))
    assert first.started_at == second.started_at
    assert (
        len([one for one in world.processes() if "drls_dagster.notebooks.host" in one.cmdline()]) == 2
    )  # and its waiter
    assert world.started().started_at == first.started_at


def test_a9_a_killed_notebook_is_stopped_and_starts_again_with_its_files(world: World) -> None:
    world.start()
    (world.files() / "kept.py").write_text("x")
    before = world.processes()
    os.kill(max(before, key=lambda one: one.memory_info().rss).pid, signal.SIGKILL)
    wait_until(lambda: world.status().state is NotebookState.STOPPED, 60)
    wait_until(lambda: not any(one.is_running() for one in before), 60)
    assert world.started().state is NotebookState.RUNNING
    assert (world.files() / "kept.py").read_text() == "x"


def test_a9_a_killed_keeper_takes_its_notebooks_with_it_and_leaves_nothing(world: World) -> None:
    world.start()
    assert world.keeper is not None
    before = world.processes()
    world.keeper.kill()
    world.keeper.wait(30)
    wait_until(lambda: not any(_lives(one) for one in before), 60)
    world.keep()
    assert world.status().state is NotebookState.STOPPED
    assert not list(world.sockets.glob("nb-*"))
    assert not list((world.settings.home / "private").iterdir())
    assert world.started().state is NotebookState.RUNNING


def test_a9_a_notebook_ends_when_it_is_idle_or_too_large(world: World) -> None:
    world.stop_keeping()
    world.keep(DRLS_NOTEBOOK__IDLE_MINUTES="0.1", DRLS_NOTEBOOK__MOST="1")
    world.start()
    with pytest.raises(TooMany, match=r"notebook\.most is 1"):
        world.start("eve")
    wait_until(lambda: world.status().state is NotebookState.STOPPED, 60)
    assert world.status().ended == "nobody used it for 0.1 minutes (notebook.idle_minutes)"
    world.stop_keeping()
    world.keep(DRLS_NOTEBOOK__MEMORY="200m")
    world.start()
    shown = world.visit("ada").run("len(bytearray(300_000_000))")
    assert "MemoryError" in shown
    world.visit("ada").run(MANY)  # each below the limit, and together above it
    wait_until(lambda: "notebook.memory" in world.status().ended, 60)
    world.stop_keeping()
    world.keep()


def test_a9_the_audit_log_knows_who_started_and_stopped_one(world: World) -> None:
    world.start()
    world.stop()
    world.stop()
    with world.life.store.read() as view:
        found = [(one.verb, one.subject) for one in view.log.entries() if one.verb.startswith("notebook.")]
    assert found[-2:] == [("notebook.started", "notebook:ada"), ("notebook.stopped", "notebook:ada")]


def test_a9_without_a_fence_there_is_no_notebook(world: World) -> None:
    world.stop_keeping()
    world.keep(DRLS_FENCE__MODE="off")
    with pytest.raises(Refused, match="a notebook needs a fence"):
        world.start()
    assert not world.processes()
    world.stop_keeping()
    world.keep()


def test_where_marimo_or_drls_up_is_missing_one_line_says_so(drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lifecycle.domain.people import Person

    ada = Person.model_construct(id=1, name="ada")
    kept = KeptNotebooks(load_settings())
    with pytest.raises(Refused, match="start it: drls up"):
        kept.start(ada)
    assert kept.find(ada).state is kept.stop(ada).state is NotebookState.STOPPED
    monkeypatch.setattr("drls_dagster.notebooks.port.MARIMO", "no_such_marimo")
    with pytest.raises(Refused, match=r"pip install 'drls-dagster\[notebook\]'"):
        kept.start(ada)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
