"""What both sides of the exchange share: the data, how to check what arrived, and what the Spark driver weighs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from ray.data import Dataset


COLUMNS = ("l_orderkey", "l_partkey", "l_suppkey", "l_linenumber")


def make_lineitem(folder: Path, scratch: Path, scale: float) -> int:
    """TPC-H's `lineitem` (integers, decimals, dates, strings) as Parquet files in `folder`; its bytes as Arrow."""
    import pyarrow.parquet as pq

    from examples.tpch.generate import generate

    made = pq.read_table(generate(scratch, scale) / "lineitem.parquet")
    folder.mkdir()
    part = -(-made.num_rows // 4)
    for number in range(4):
        pq.write_table(made.slice(number * part, part), folder / f"{number}.parquet")
    shutil.rmtree(scratch)
    return made.nbytes


def checksum(dataset: Dataset) -> list[float]:
    """Sums of the integer columns, computed where the blocks are."""
    import ray

    def sums(table: Any) -> list[float]:
        return [float(table[name].to_numpy().sum()) for name in COLUMNS]

    remote = ray.remote(sums)
    parts: list[list[float]] = ray.get([remote.remote(ref) for ref in dataset.to_arrow_refs()])
    return [sum(column) for column in zip(*parts, strict=True)]


def driver_memory(parent: int) -> int:
    """Resident bytes of the Spark driver's JVM, a child of `parent`."""
    for process in psutil.Process(parent).children():
        if "org.apache.spark.deploy.SparkSubmit" in process.cmdline():
            return process.memory_info().rss
    raise RuntimeError(f"process {parent} has no Spark driver")
