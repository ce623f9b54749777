"""Spark → Ray as DRLS does it: Spark writes Parquet over Connect, plain Ray tasks read it. A worker.

The reading is the product's (`ray_work.tables_of`), in a Ray job that lives as long as this process, like the
runner's.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import Any

import ray
import ray.data

from benchmarks.exchange_data import checksum, driver_memory
from benchmarks.lab import serve
from drls_dagster.engine.ray_work import tables_of
from drls_dagster.engine.session import open_session
from drls_dagster.settings import load_settings
from drls_dagster.steps.staging import PARQUET, staged_files


def main() -> None:
    source, folder = sys.argv[1], Path(sys.argv[2])
    opened = open_session(load_settings())
    assert opened.engine is not None
    ray.init(address=opened.engine.ray_address, namespace="bench", log_to_driver=False)
    engine = opened.engine
    schema = opened.spark.read.parquet(source).schema  # found once, on both sides: it is no part of an exchange

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        staged = str(folder / "staged")
        began = time.perf_counter()
        opened.spark.read.schema(schema).parquet(source).write.mode("overwrite").options(**PARQUET).parquet(staged)
        written = time.perf_counter() - began
        dataset = tables_of(staged_files(staged))
        rows = dataset.count()
        took = time.perf_counter() - began
        found = {"seconds": took, "written": written, "rows": rows, "checksum": checksum(dataset)}
        shutil.rmtree(staged)
        return {**found, "driver_bytes": driver_memory(engine.pid)}

    serve(answer)
    opened.spark.client.close()
    ray.shutdown()


if __name__ == "__main__":
    main()
