"""Spark → Ray as RayDP does it: `ray.data.from_spark` in a RayDP driver of its own. A worker.

RayDP's conversions need the driver, which Spark Connect does not have. Spark is configured like the engine's,
and has scanned the data once before the first conversion.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import pyarrow as pa

from benchmarks.exchange_data import COLUMNS, Sums, driver_memory, sums, total
from benchmarks.lab import serve
from drls_dagster.engine.conf import spark_conf
from drls_dagster.engine.jars import all_jars, ensure_jars
from drls_dagster.engine.java import find_java
from drls_dagster.settings import load_settings, memory_bytes


def sums_of_block(block: pa.Table) -> Sums:
    return sums([block])


def main() -> None:
    source = sys.argv[1]
    settings = load_settings()
    java = find_java().path
    os.environ.update(
        JAVA_HOME=str(java),
        PYSPARK_PYTHON=sys.executable,
        SPARK_LOCAL_IP="127.0.0.1",
        RAY_USAGE_STATS_ENABLED="0",
    )
    os.environ.update(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0", PATH=f"{java}/bin{os.pathsep}{os.environ['PATH']}")
    import ray
    import ray.data
    import raydp
    from raydp.spark.dataset import release_spark_recoverable

    engine = settings.engine
    ray.init(
        address="local",
        include_dashboard=False,
        object_store_memory=memory_bytes(engine.object_store_memory),
        log_to_driver=False,
    )
    ensure_jars(settings)
    conf = spark_conf(settings, all_jars(settings), 0)
    conf = {name: value for name, value in conf.items() if name != "spark.plugins" and ".connect." not in name}
    # Without fault_tolerant_mode from_spark refuses.
    spark = raydp.init_spark(
        "bench", engine.executors, engine.cores, engine.memory, fault_tolerant_mode=True, configs=conf
    )
    spark.read.parquet(source).selectExpr(*(f"sum({name})" for name in COLUMNS)).collect()

    schema = spark.read.parquet(source).schema

    work = ray.remote(sums_of_block)

    def answer(_: dict[str, Any]) -> dict[str, Any]:
        began = time.perf_counter()
        frame = spark.read.schema(schema).parquet(source)
        dataset = ray.data.from_spark(frame)
        found = total(ray.get([work.remote(ref) for ref in dataset.to_arrow_refs()]))
        took = time.perf_counter() - began
        release_spark_recoverable(frame)
        return {"seconds": took, "sums": found, "driver_bytes": driver_memory(os.getpid())}

    serve(answer)
    raydp.stop_spark()
    ray.shutdown()


if __name__ == "__main__":
    main()
