"""What both sides of the exchange share: the data, how to check what arrived, and what the Spark driver weighs."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ("l_orderkey", "l_partkey", "l_suppkey", "l_linenumber")


def make_lineitem(folder: Path, scratch: Path, scale: float) -> int:
    """TPC-H's `lineitem` (integers, decimals, dates, strings) as Parquet files in `folder`; its bytes as Arrow."""
    from examples.tpch.generate import generate

    made = pq.read_table(generate(scratch, scale) / "lineitem.parquet")
    folder.mkdir()
    part = -(-made.num_rows // 4)
    for number in range(4):
        pq.write_table(made.slice(number * part, part), folder / f"{number}.parquet")
    shutil.rmtree(scratch)
    return made.nbytes


Sums = list[float]  # of the integer columns, and the number of rows


def sums(tables: Iterable[pa.Table]) -> Sums:
    """What each side's tasks do with their rows: an exchange ends when all of them have been looked at in Ray."""
    found = [0.0] * (len(COLUMNS) + 1)
    for table in tables:
        values = [*(float(table[name].to_numpy().sum()) for name in COLUMNS), float(table.num_rows)]
        found = [a + b for a, b in zip(found, values, strict=True)]
    return found


def total(parts: Iterable[Sums]) -> Sums:
    return [sum(column) for column in zip(*parts, strict=True)]


def driver_memory(parent: int) -> int:
    """Resident bytes of the Spark driver's JVM, a child of `parent`."""
    for process in psutil.Process(parent).children():
        if "org.apache.spark.deploy.SparkSubmit" in process.cmdline():
            return process.memory_info().rss
    raise RuntimeError(f"process {parent} has no Spark driver")
