"""A Ray step (four staged files, map_batches, files out) on the warm runner, against a Ray job of its own.

Both sides are the product's own `process`, on the same Ray cluster, files and function.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.lab import CHECKOUT, Lab, in_turn, seconds
from benchmarks.ray_token import ray_environment
from benchmarks.report import Line, Side, at_least
from drls_dagster.steps.ray_process import ask_runner

FILES = 4
PYTHON = """
import pyarrow as pa
import pyarrow.compute as pc

def process(batch):
    return pa.table({"id": batch["id"], "c": pc.add(pc.multiply(batch["a"], 2.0), batch["b"])})
"""


def run(lab: Lab) -> list[Line]:
    rows = lab.times(10_000_000, 1_000_000)
    inputs = stage(lab.data / "step_in", rows)
    engine = lab.engine()
    inside: list[float] = []

    def warm() -> float:
        request = _request(inputs, lab.data / f"step_{time.monotonic_ns()}")
        files: list[Any] = []
        took = seconds(lambda: files.extend(ask_runner(lab.settings, engine, request)))
        _verify(files, rows)
        return took

    def own_job() -> float:
        request = _request(inputs, lab.data / f"step_{time.monotonic_ns()}")
        file = lab.folder / "request.json"
        file.write_text(json.dumps(request))
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.ray_step_job", str(file), engine.ray_address],
            capture_output=True,
            text=True,
            cwd=CHECKOUT,
            env={**os.environ, **ray_environment(engine.engine_id)},
            check=False,
        )
        took = time.perf_counter() - began
        if done.returncode:
            raise RuntimeError(f"the Ray job failed: {done.stderr[-2000:]}")
        told = json.loads(done.stdout.splitlines()[-1])
        _verify(told["files"], rows)
        inside.append(told["seconds"])
        return took

    first = warm()
    warm()
    ours, theirs = in_turn(lab.times(5, 2), warm, own_job)
    a = Side(f"warm runner, {rows:,} rows", ours)
    note = f"the runner's own first such step took {first:.1f} s"
    return [
        at_least("ray_step", "whole process", a, Side("a process with a Ray job of its own", theirs), 3, note),
        Line("ray_step", "without Python's start and imports", a, Side("from ray.init on", tuple(inside))),
    ]


def stage(folder: Path, rows: int) -> list[str]:
    """`rows` rows of an integer and two floats, in as many files as the step reads."""
    folder.mkdir()
    paths: list[str] = []
    for number in range(FILES):
        random = np.random.default_rng(number)
        size = rows // FILES
        ids = np.arange(number * size, (number + 1) * size)
        table = pa.table({"id": ids, "a": random.random(size), "b": random.random(size)})
        path = folder / f"{number}.parquet"
        pq.write_table(table, path)
        paths.append(str(path))
    return paths


def _request(inputs: list[str], output: Path) -> dict[str, Any]:
    schema = pa.schema([("id", pa.int64()), ("c", pa.float64())])
    return {
        "node": "bench",
        "inputs": [[path] for path in inputs],
        "output": str(output),
        "python": PYTHON,
        "batch_size": 1_000_000,
        "cpus": 1,
        "gpus": 0,
        "concurrency": 2,
        "output_schema": schema.serialize().to_pybytes().hex(),
    }


def _verify(files: list[Any], rows: int) -> None:
    """Every row is there once: their number, and the sum of the ids."""
    ids = [pq.read_table(path, columns=["id"])["id"] for path, _, _ in files]
    found = sum(len(column) for column in ids)
    total = sum(int(column.to_numpy().sum()) for column in ids)
    if (found, total) != (rows, rows * (rows - 1) // 2):
        raise RuntimeError(f"the step wrote {found:,} rows whose ids sum to {total:,}")
