"""`kill -9` of each process of the engine: the next run works, and nobody believes what a dead process said."""

from __future__ import annotations

import os
import signal
from typing import Any

import psutil
import pytest
from engine_processes import executor_of, of_engine
from lab import Lab, files, ray, sink, wait_for

from drls_dagster.engine import client
from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.state import EngineState, read_runner, read_state

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def through_ray(lab: Lab, **more: Any) -> str:
    lab.file("a.csv", "id\n1\n2\n")
    return lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"),
        ray("worked", "def process(batch): return batch", id="long"),
        sink("out", lab.named("out"), "overwrite"),
        flow="raw>worked>out",
        **more,
    )


def running(lab: Lab) -> EngineState:
    state = client.ensure_engine(lab.settings)
    client.wait_for_runner(lab.settings, state)
    return state


def works(lab: Lab, **more: Any) -> None:
    ran = lab.run(through_ray(lab, **more))
    assert ran.success, ran.failures
    assert lab.rows("out") == [(1,), (2,)]


def test_the_ray_runner_and_the_ray_workers_come_back_in_the_same_engine(lab: Lab) -> None:
    state = running(lab)
    runner = read_runner(lab.settings, state.engine_id)
    assert runner is not None
    os.kill(runner.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(runner.pid)] if psutil.pid_exists(runner.pid) else [], timeout=10)
    assert read_runner(lab.settings, state.engine_id) is None
    works(lab)

    workers = of_engine(state, "ray::IDLE")  # not RayDP's own actors, without which Spark ends
    assert workers
    for worker in workers:
        worker.kill()
    works(lab)
    assert client.ensure_engine(lab.settings).engine_id == state.engine_id


def test_a_run_with_retries_outlives_a_killed_executor(lab: Lab) -> None:
    """RayDP may replace it or not; where it does not, the driver ends its engine and the retry starts another."""
    state = running(lab)
    executor_of(state).kill()
    works(lab, run={"retries": {"attempts": 3, "delay": "5s"}})


def test_a_killed_driver_is_followed_by_a_new_engine_and_leaves_no_process(lab: Lab) -> None:
    state = running(lab)
    os.kill(state.pid, signal.SIGKILL)
    wait_for("the driver's end", lambda: not state.is_alive)
    assert client.status(lab.settings).state == "dead"
    works(lab)
    now = read_state(lab.settings)
    assert now is not None
    assert now.engine_id != state.engine_id
    assert processes_of(state.engine_id) == []
