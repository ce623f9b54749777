"""Ray that ends while it starts is noticed at once, so that a second start has the time that is left."""

from __future__ import annotations

import queue
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from drls_dagster.engine.young_node import first_ended, node_processes, young_node
from tests.waiting import wait_until


@pytest.fixture
def raylet(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of that name."""
    program = tmp_path / "raylet"
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen([program, "600"]) as process:
        yield process
        process.kill()


def test_the_end_of_a_young_node_is_told(raylet: subprocess.Popen[bytes]) -> None:
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    with young_node(told.put, every=0.01):
        raylet.kill()
        assert told.get(timeout=60) == "raylet"


def test_a_node_that_ends_later_is_not_told(raylet: subprocess.Popen[bytes]) -> None:
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    with young_node(told.put, every=0.01):
        pass
    raylet.kill()
    raylet.wait(60)
    assert told.empty()


def test_a_node_that_was_killed_has_ended(raylet: subprocess.Popen[bytes]) -> None:
    wait_until(node_processes)
    node = node_processes()
    assert [one.pid for one in node] == [raylet.pid]
    assert not first_ended(node)
    raylet.kill()
    wait_until(lambda: first_ended(node))  # also while nobody asked for its end
    raylet.wait(60)
    assert first_ended(node) == "raylet"
    assert not first_ended({}), "of a cluster that somebody else started"
