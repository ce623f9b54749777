"""Spark → Ray as DRLS does it: Spark writes Parquet over Connect, Ray tasks read it where they work. A worker.

Parts and reading are the product's (`staged_parts`, `step_part.batches`), in a Ray job that lives as long as this
process, like the runner's.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import ray

from benchmarks.exchange_data import Sums, driver_memory, sums, total
from benchmarks.lab import serve
from benchmarks.ray_token import ray_environment
from drls_dagster.engine.session import open_session
from drls_dagster.engine.step_part import batches
from drls_dagster.settings import load_settings
from drls_dagster.steps.staging import parquet_options, staged_parts

BATCH = 1_000_000  # rows
CORES = 2


def read_and_sum(paths: list[str]) -> Sums:
    return sums(batches(paths, BATCH))


def main() -> None:
    source, folder = sys.argv[1], Path(sys.argv[2])
    opened = open_session(load_settings())
    assert opened.engine is not None
    os.environ.update(ray_environment(opened.engine.engine_id))
    ray.init(address=opened.engine.ray_address, namespace="bench", log_to_driver=False)
    engine = opened.engine
    schema = opened.spark.read.parquet(source).schema  # found once, on both sides: it is no part of an exchange
    options = parquet_options(schema)

    work = ray.remote(read_and_sum)

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        staged = str(folder / "staged")
        began = time.perf_counter()
        opened.spark.read.schema(schema).parquet(source).write.mode("overwrite").options(**options).parquet(staged)
        written = time.perf_counter() - began
        found = total(ray.get([work.remote(paths) for paths in staged_parts(staged, CORES)]))
        took = time.perf_counter() - began
        shutil.rmtree(staged)
        return {"seconds": took, "written": written, "sums": found, "driver_bytes": driver_memory(engine.pid)}

    serve(answer)
    opened.spark.client.close()
    ray.shutdown()


if __name__ == "__main__":
    main()
