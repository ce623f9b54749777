"""What it costs a run to ask the platform through the run service, instead of opening the store itself."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from benchmarks.lab import Lab, in_turn
from benchmarks.lifecycle_store import fill
from benchmarks.report import Line, Side, at_most
from drls_dagster.ledger import place_of, this_worker
from drls_dagster.lifecycle_client.gateway import open_lifecycle
from drls_dagster.runs.address import UNIX
from drls_dagster.runs.client import RunClient, Way
from drls_dagster.runs.opening import direct
from drls_dagster.runs.part import Part
from drls_dagster.runs.remote import Remote
from drls_dagster.runs.token import bind, issue
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.environment import Environment

CALL, RUN = 5.0, 150.0  # milliseconds
PIPELINES, NODES = 100, 5
WHERE, NAME = Environment.PRODUCTION, "pipeline_0001"

T = TypeVar("T")


def run(lab: Lab) -> list[Line]:
    folder = lab.folder / "runs"
    fill(folder, lab.times(PIPELINES, 10), 3, 0)
    settings = load_settings(folder)
    ctx = open_lifecycle(settings)
    with ctx.store.read() as view:
        (release,) = view.deployments.releases(WHERE, pipelines=[NAME])
    part = Part(NAME, release.digest, WHERE)
    place = lab.folder / "runs.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(place))
        listening.listen()
        command = [sys.executable, "-m", "drls_dagster.runs.server", "--fd", str(listening.fileno())]
        environment = {**os.environ, "DRLS_HOME": str(settings.home)}
        server = subprocess.Popen(command, pass_fds=[listening.fileno()], env=environment)
        try:

            def service(run_id: str) -> Way:
                return Remote(f"{UNIX}{place}", issue(ctx, bind(run_id, run_id, [part])))

            def here(run_id: str) -> Way:
                return direct(settings, run_id, run_id, [part])

            whole_run(service, settings)  # the first run of a process imports
            whole_run(here, settings)
            calls = dict[str, list[float]](service=[], here=[])
            through, own = in_turn(
                lab.times(20, 3),
                lambda: sum(_kept(calls["service"], whole_run(service, settings))),
                lambda: sum(_kept(calls["here"], whole_run(here, settings))),
            )
        finally:
            server.terminate()
            server.wait(30)
            ctx.store.close()
    more = tuple(a - b for a, b in zip(through, own, strict=True))
    p95 = statistics.quantiles(calls["service"], n=20)[-1]
    count = len(calls["service"]) // len(through)
    return [
        at_most(
            "runs",
            "what the run service costs a run",
            Side(f"{count} calls through the service, less B", more, "ms"),
            Side("the same calls, the store opened here", own, "ms"),
            RUN,
            f"≤ {RUN:g} ms",
        ),
        at_most(
            "runs",
            "a call to the run service",
            Side("median", tuple(calls["service"]), "ms"),
            Side("here", tuple(calls["here"]), "ms"),
            CALL,
            f"≤ {CALL:g} ms",
            f"p95 {p95:.1f} ms",
        ),
    ]


def whole_run(way_of: Callable[[str], Way], settings: Settings) -> list[float]:
    """What each call of a run of five nodes takes, in milliseconds; nothing of its data is among them."""
    run_id, took = str(uuid.uuid4()), list[float]()

    def timed(call: Callable[..., T], *given: Any) -> T:
        began = time.perf_counter()
        found = call(*given)
        took.append(1000 * (time.perf_counter() - began))
        return found

    began = time.perf_counter()
    way = way_of(run_id)
    took.append(1000 * (time.perf_counter() - began))
    client, place = RunClient(way, NAME, WHERE), place_of(settings)
    worker, table, branch = this_worker(place), "", f"drls_run_{run_id[:8]}"
    release = timed(client.saved_version)
    assert release is not None
    timed(client.execute, run_id, worker)
    assert timed(client.admit, {}) is not None
    assert timed(client.start).waits_for == ""
    for node in range(NODES):
        timed(client.ask_again)
        timed(client.pinned, "0", f"n{node}")
        timed(client.pin, "0", f"n{node}", {"snapshot": node})
        timed(client.checks, f"n{node}", "key")
        timed(client.record_checks, f"n{node}", "key", [{"passed": True}])
    table = _table(release.spec)
    timed(client.debris, table, place)
    timed(client.open_branch, run_id, worker, table, branch, "session", "engine")
    timed(client.require_alive, run_id)
    timed(client.close_branch, table, branch)
    timed(client.finish)
    timed(client.leave, run_id)
    if isinstance(way, Remote):
        way.close()
    return took


def _table(spec: str) -> str:
    from lifecycle.spec import PipelineSpec

    sinks = PipelineSpec.model_validate_json(spec, by_alias=True, by_name=False).sinks
    return sinks[0].table


def _kept(among: list[float], values: list[float]) -> list[float]:
    among += values
    return values
