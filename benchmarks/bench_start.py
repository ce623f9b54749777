"""From the launch of a run to the start of its first step, next to Dagster's own launcher; and what the host costs.

Both sides are a whole `drls up` on one home with a warm engine; on the other one nothing is started by the warm host.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil

from benchmarks.approval_world import QA, Approvals
from benchmarks.lab import Lab
from benchmarks.report import Line, Side, at_most
from drls_dagster.orchestrator.instance import dagster_home
from drls_dagster.orchestrator.running_up import running_up

SECONDS, MB = 2.0, 250.0
AT_ONCE = 20


def run(lab: Lab) -> list[Line]:
    dagster_home(lab.settings)
    lab.engine()
    names = [f"started_{number}" for number in range(lab.times(AT_ONCE, 3))]
    times = lab.times(7, 2)
    with contextlib.closing(Approvals(lab)) as world:
        for name in names:
            world.release(name)
        with world.up("drls_dagster.cli.main", "up", "--port") as clicks:
            clicks.launch(names[0], QA)  # the first one of all fills caches
            ours = tuple(clicks.launch(names[0], QA) for _ in range(times))
            idle = tuple(_own_memory(lab))
            all_of_them = clicks.launch_all(names, QA)
        with world.up("benchmarks.unhosted_up") as clicks:
            clicks.launch(names[0], QA)
            theirs = tuple(clicks.launch(names[0], QA) for _ in range(times))
    return [
        at_most(
            "start",
            "launch to first step",
            Side("by the warm host", ours),
            Side("Dagster's launcher", theirs),
            SECONDS,
            f"≤ {SECONDS:g} s",
        ),
        at_most(
            "start",
            f"{len(names)} at once",
            Side("until the last one starts", (max(all_of_them),)),
            Side("one alone", ours),
            len(names) * SECONDS,
            "all start",
            f"first after {min(all_of_them):.1f} s; at most four run at a time",
        ),
        at_most(
            "start",
            "idle",
            Side("memory of the host alone", idle, "MB"),
            Side("allowed", (MB,), "MB"),
            MB,
            f"≤ {MB:g} MB",
        ),
    ]


def _own_memory(lab: Lab) -> Iterator[float]:
    """What the warm host has that no other process shares, MB."""
    up = running_up(lab.settings)
    assert up is not None
    for child in psutil.Process(up.pid).children():
        if "drls_dagster.up.warm_host.serve" in child.cmdline():
            yield child.memory_full_info().uss / 1e6
