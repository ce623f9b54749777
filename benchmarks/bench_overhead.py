"""What a step costs besides its work, and what the engine weighs while it waits."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from benchmarks.bench_flights import Flights
from benchmarks.lab import Lab, in_turn, median, run_seconds, seconds
from benchmarks.report import Line, Side, at_most
from drls_dagster.engine.processes import proportional_memory
from drls_dagster.engine.session import session
from drls_dagster.launch.choices import select_nodes
from drls_dagster.launch.find import find_pipeline
from drls_dagster.launch.run import launch
from lifecycle.domain.environment import Environment

MANY, FEW = 16, 8
LIMIT = 3e9  # bytes
MB = 1e6


def run(lab: Lab) -> list[Line]:
    lab.engine()
    return [_steps(lab), _idle(lab)]


def _steps(lab: Lab) -> Line:
    """A chain of trivial SQL steps through Dagster, and one half as long: the difference is the steps'."""
    pipelines = {length: _pipeline(lab.folder, length) for length in (MANY, FEW)}

    def chain(length: int) -> float:
        loaded = find_pipeline(str(pipelines[length]), lab.settings)
        assert loaded.spec is not None
        nodes = select_nodes(loaded.spec, None)
        outcome = launch(loaded, lab.settings, Environment.DEVELOPMENT, nodes=nodes, parameters={}, partitions=None)
        return run_seconds(outcome)

    with session(lab.settings) as opened:

        def query() -> float:
            return seconds(lambda: opened.spark.sql("SELECT 1 AS one").collect())

        for length in (MANY, FEW):
            chain(length)
            query()
        many, few, queries = in_turn(lab.times(5, 2), lambda: chain(MANY), lambda: chain(FEW), query)
    each = tuple((a - b) / (MANY - FEW) for a, b in zip(many, few, strict=True))
    note = f"in all, {MANY} steps and a sink take {median(many):.2f} s, {FEW} and a sink {median(few):.2f} s"
    return Line("overhead", "per step", Side("one more step", each), Side("one SELECT 1", queries), note=note)


def _pipeline(folder: Path, length: int) -> Path:
    names = ["start", *(f"step_{number}" for number in range(length))]
    edges = [f"  - {{from: {a}, to: {b}}}" for a, b in itertools.pairwise([*names, "target"])]
    nodes = [
        f"  - {{id: {name}, type: transform, step: spark, sql: 'SELECT * FROM {above}'}}"
        for above, name in itertools.pairwise(names)
    ]
    text = [
        "format_version: 1",
        f"name: chain_{length}",
        "nodes:",
        "  - {id: start, type: source, source: {kind: rate, rows_per_second: 1}}",
        *nodes,
        f"  - {{id: target, type: sink, table: bench.chain_{length}, mode: overwrite}}",
        "edges:",
        *edges,
    ]
    file = folder / f"chain_{length}.yaml"
    file.write_text("\n".join(text) + "\n")
    return file


def _idle(lab: Lab) -> Line:
    """The whole engine's memory, shared pages counted once, after the flights job and a wait."""
    flights = Flights(lab)
    flights.run()
    flights.run()
    engine_id = lab.engine().engine_id
    used = proportional_memory(engine_id) / MB
    wait = lab.times(75, 20)
    lab.log(f"waiting {wait} s for the engine to rest")
    time.sleep(wait)
    values: list[float] = []
    for _ in range(3):
        values.append(proportional_memory(engine_id) / MB)
        time.sleep(5)
    a = Side(f"engine after {wait} s without work (PSS)", tuple(values), "MB")
    b = Side("engine right after the flights job", (used,), "MB")
    return at_most("overhead", "idle memory", a, b, LIMIT / MB, f"≤ {LIMIT / MB:.0f} MB")
