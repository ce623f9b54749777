"""What fences and sealed data cost: the start of a run, its steps, and the digests of what it publishes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pyiceberg.io.pyarrow import PyArrowFileIO

from benchmarks.bench_flights import Flights
from benchmarks.lab import Lab, in_turn, median, run_seconds, seconds
from benchmarks.report import Line, Side, at_least, at_most
from drls_dagster.fences.fences import is_on
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
    lines.extend(_with_and_without(lab))
    return lines


def _start(lab: Lab) -> Line:
    """A run with a step in Python, which has a process of its own to start, and the same in SQL."""
    python, sql = in_turn(lab.times(9, 2), _runs(lab, "in_python"), _runs(lab, "in_sql"))
    a = Side("a run with a fenced step in Python", python)
    b = Side("the same step in SQL", sql)
    line = at_most("fences", "run start", a, b, median(sql) + START, f"A ≤ B + {START} s")
    return replace(line, note=f"the fenced process adds {median(python) - median(sql):.2f} s")


def _runs(lab: Lab, name: str) -> Callable[[], float]:
    """Runs a pipeline that has next to nothing to do; its first run does not count."""
    file = _pipeline(lab.folder, name)

    def once() -> float:
        loaded = find_pipeline(str(file), lab.settings)
        assert loaded.spec is not None
        nodes = select_nodes(loaded.spec, None)
        outcome = launch(loaded, lab.settings, Environment.DEVELOPMENT, nodes=nodes, parameters={}, partitions=None)
        return run_seconds(outcome)

    once()
    return once


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


def _with_and_without(lab: Lab) -> list[Line]:
    """On engines with and without fences: a run of almost nothing, and the flights example with every kind of step."""
    starts: dict[Literal["auto", "off"], list[float]] = {"auto": [], "off": []}
    whole: dict[Literal["auto", "off"], list[float]] = {"auto": [], "off": []}
    for _ in range(lab.times(3, 1)):
        for mode, values in starts.items():
            with lab.fenced(mode):
                lab.engine()
                assert is_on(lab.settings) is (mode == "auto")
                started = _runs(lab, "in_python")
                values.extend(started() for _ in range(lab.times(5, 1)))
                flights = Flights(lab)
                for _ in range(lab.times(3, 1)):
                    flights.run()
                whole[mode].extend(flights.run() for _ in range(lab.times(5, 1)))
    fenced, bare = tuple(starts["auto"]), tuple(starts["off"])
    a, b = Side("a run with a step in Python, fenced", fenced), Side("the same without fences", bare)
    start = at_most("fences", "run start, fences off", a, b, median(bare) + START, f"A ≤ B + {START} s")
    a, b = Side("flights, fenced", tuple(whole["auto"])), Side("the same without fences", tuple(whole["off"]))
    return [
        replace(start, note=f"the fence alone adds {median(fenced) - median(bare):.2f} s"),
        at_least("fences", "step throughput", a, b, SHARE),
    ]


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

        processor: list[float] = []

        def digests() -> float:
            began = time.process_time()
            found = all_of(lambda path: digest(io, str(path)))
            processor.append(FILES * size / (time.process_time() - began) / 1e9)
            return found

        ours, reads = in_turn(lab.times(5, 2), digests, lambda: all_of(read))
    a = Side("digests", ours, "GB/s")
    b = Side("reading the same files", reads, "GB/s")
    note = f"{THREADS} threads; {median(processor):.2f} GB of digests for each second of a processor"
    return Line("fences", "digests", a, b, f"A ≥ {GB_A_SECOND:g} GB/s", a.median >= GB_A_SECOND, note)
