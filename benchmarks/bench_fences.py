"""What fences and sealed data cost: the start of a run, its steps, and the digests of what it publishes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pyiceberg.io.pyarrow import PyArrowFileIO

from benchmarks.bench_flights import Flights
from benchmarks.lab import Lab, in_turn, median, run_seconds, seconds
from benchmarks.report import Line, Side, at_least, at_most
from drls_dagster.lakehouse.seal import THREADS
from drls_dagster.lakehouse.stored_files import digest
from drls_dagster.launch.choices import select_nodes
from drls_dagster.launch.find import find_pipeline
from drls_dagster.launch.run import launch
from lifecycle.domain.environment import Environment

START = 0.3  # seconds
SHARE = 0.97
GB_A_SECOND = 1.0
FILES, SIZE = 8, 256 << 20
STEPS = {
    "in_sql": "{id: step, type: transform, step: spark, sql: 'SELECT * FROM start'}",
    "in_python": "{id: step, type: transform, step: spark, python: 'def transform(spark, start): return start'}",
}


def run(lab: Lab) -> list[Line]:
    lines = [_digests(lab)]
    lab.engine()
    lines.append(_start(lab))
    lines.append(_steps(lab))
    return lines


def _start(lab: Lab) -> Line:
    """A run with a step in Python, which has a process of its own to start, and the same in SQL."""

    def runs(name: str) -> Callable[[], float]:
        file = _pipeline(lab.folder, name)

        def once() -> float:
            loaded = find_pipeline(str(file), lab.settings)
            assert loaded.spec is not None
            nodes = select_nodes(loaded.spec, None)
            outcome = launch(loaded, lab.settings, Environment.DEVELOPMENT, nodes=nodes, parameters={}, partitions=None)
            return run_seconds(outcome)

        once()
        return once

    python, sql = in_turn(lab.times(9, 2), runs("in_python"), runs("in_sql"))
    a = Side("a run with a fenced step in Python", python)
    b = Side("the same step in SQL", sql)
    line = at_most("fences", "run start", a, b, median(sql) + START, f"A ≤ B + {START} s")
    return replace(line, note=f"the fenced process adds {median(python) - median(sql):.2f} s")


def _pipeline(folder: Path, name: str) -> Path:
    text = [
        *("format_version: 1", f"name: {name}", "nodes:"),
        "  - {id: start, type: source, source: {kind: rate, rows_per_second: 1}}",
        f"  - {STEPS[name]}",
        f"  - {{id: target, type: sink, table: bench.{name}, mode: overwrite}}",
        "edges:",
        "  - {from: start, to: step}",
        "  - {from: step, to: target}",
    ]
    file = folder / f"{name}.yaml"
    file.write_text("\n".join(text) + "\n")
    return file


def _steps(lab: Lab) -> Line:
    """The flights example, all of whose kinds of step are fenced, on engines with and without fences."""
    found: dict[Literal["auto", "off"], list[float]] = {"auto": [], "off": []}
    for _ in range(lab.times(3, 1)):
        for mode, values in found.items():
            with lab.fenced(mode):
                lab.engine()
                flights = Flights(lab)
                for _ in range(lab.times(3, 1)):
                    flights.run()
                values.extend(flights.run() for _ in range(lab.times(5, 1)))
    a = Side("flights, fenced", tuple(found["auto"]))
    b = Side("the same without fences", tuple(found["off"]))
    return at_least("fences", "step throughput", a, b, SHARE)


def _digests(lab: Lab) -> Line:
    """Files that the system has in memory: what is measured is the digest, not the disk."""
    io = PyArrowFileIO()
    size = SIZE // (8 if lab.quick else 1)
    with tempfile.TemporaryDirectory(dir=lab.folder) as folder:
        paths = [Path(folder) / f"{number}.parquet" for number in range(FILES)]
        for path in paths:
            path.write_bytes(os.urandom(1 << 20) * (size >> 20))

        def all_of(work: Callable[[Path], object]) -> float:
            with ThreadPoolExecutor(THREADS) as threads:
                took = seconds(lambda: list(threads.map(work, paths)))
            return FILES * size / took / 1e9

        def read(path: Path) -> None:
            with path.open("rb", buffering=0) as file:
                buffer = bytearray(1 << 20)
                while file.readinto(buffer):
                    pass

        ours, reads = in_turn(lab.times(5, 2), lambda: all_of(lambda path: digest(io, str(path))), lambda: all_of(read))
    a = Side("digests", ours, "GB/s")
    b = Side("reading the same files", reads, "GB/s")
    return Line("fences", "digests", a, b, f"A ≥ {GB_A_SECOND:g} GB/s", a.median >= GB_A_SECOND)
