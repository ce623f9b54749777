"""From the click on "approve" to the first step of the run that it starts, against Dagster's own way: a sensor.

Both sides are a whole `drls up` on one home with a warm engine. On the sensor's side nobody pushes, and sensors look
at Dagster's default interval of 30 s; people click at evenly spread times between two looks. What follows the look
(reload, launch, queue, run worker) is the same on both sides.
"""

from __future__ import annotations

import contextlib

from benchmarks.approval_world import Approvals
from benchmarks.lab import Lab
from benchmarks.report import Line, Side, at_most
from drls_dagster.orchestrator.instance import dagster_home

FACTOR, SECONDS = 0.5, 4.0
INTERVAL = 30.0  # seconds, Dagster's default


def run(lab: Lab) -> list[Line]:
    times = lab.times(3, 1)
    dagster_home(lab.settings)
    lab.engine()
    with contextlib.closing(Approvals(lab)) as world:
        pushed = [f"pushed_{number}" for number in range(times)]
        unpushed = [f"unpushed_{number}" for number in range(times)]
        for name in (*pushed, *unpushed):
            world.prepare(name)
        with world.up("drls_dagster.cli.main", "up", "--port") as clicks:
            a = tuple(clicks.approve(name) for name in pushed)
        moments = [INTERVAL * (number + 0.5) / times for number in range(times)]
        with world.up("benchmarks.unpushed_up") as clicks:
            b = tuple(clicks.approve(name, after_tick=at) for name, at in zip(unpushed, moments, strict=True))
    ours = Side("click to first step", a)
    sensor = Side("found by a sensor every 30 s", b)
    note = f"clicks {', '.join(f'{at:.0f}' for at in moments)} s after a look; the rest is alike"
    return [
        at_most("approval", "against the sensor", ours, sensor, FACTOR * sensor.median, f"A ≤ {FACTOR:g} × B", note),
        at_most("approval", "approval to first step", ours, sensor, SECONDS, f"≤ {SECONDS:g} s"),
    ]
