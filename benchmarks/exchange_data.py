"""What both sides of the exchange share: how to check what arrived, and what the Spark driver weighs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from ray.data import Dataset


def checksum(dataset: Dataset) -> list[float]:
    """Sums of the three columns, computed where the blocks are."""
    import ray

    def sums(table: Any) -> list[float]:
        return [float(table[name].to_numpy().sum()) for name in ("id", "a", "b")]

    remote = ray.remote(sums)
    parts: list[list[float]] = ray.get([remote.remote(ref) for ref in dataset.to_arrow_refs()])
    return [sum(column) for column in zip(*parts, strict=True)]


def driver_memory(parent: int) -> int:
    """Resident bytes of the Spark driver's JVM, a child of `parent`."""
    for process in psutil.Process(parent).children():
        if "org.apache.spark.deploy.SparkSubmit" in process.cmdline():
            return process.memory_info().rss
    raise RuntimeError(f"process {parent} has no Spark driver")
