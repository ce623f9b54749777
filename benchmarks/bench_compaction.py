"""Compaction of TPC-H's lineitem in 1,000 small files: DRLS against Spark's rewrite_data_files and DuckDB's COPY.

All get the same files, each a table of its own, one after the other. Rows, sums of the integer columns and of the
decimals are compared between DRLS and Spark. Memory is what the process takes at most, for Spark the sum of what the
engine's processes have to themselves, looked at while it works; the engine is warm and starts for nobody else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.compaction_data import NAMESPACE, make_files, make_table, same_files
from benchmarks.lab import Lab
from benchmarks.report import Line, Side, at_least, at_most
from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.session import session

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

MB = 1e6
WHOLE, QUICK = (6.2, 1_000), (0.1, 40)  # scale and files: 1 GB and 17 MB of Parquet
TARGET, ORDERED_TARGET = 256 << 20, 16 << 20
KEYS = ("l_partkey", "l_shipdate")
QUERY = "l_partkey >= {low} and l_partkey < {high} and l_shipdate >= '1994-01-01' and l_shipdate < '1994-07-01'"
PRUNED = 0.8


def run(lab: Lab) -> list[Line]:
    from drls_dagster.lakehouse.catalog import load_catalog

    scale, count = QUICK if lab.quick else WHOLE
    target = lab.times(TARGET, 4 << 20)
    ordered = lab.times(ORDERED_TARGET, 1 << 20)
    catalog = load_catalog(lab.settings)
    files = make_table(catalog, "bin", make_files(lab.folder / "tpch", scale, count))
    size = sum(one.file_size_in_bytes for one in files)
    for name in ("bin_spark", "sort", "sort_spark", "zorder", "zorder_spark"):
        same_files(catalog, name, "bin", files)
    lab.log(f"{len(files)} files, {size / MB:.0f} MB")
    lines: list[Line] = []
    # First, while there is nothing but the small files in that folder.
    duck = _duckdb(lab, files[0].file_path.rsplit("/", 1)[0], target)
    ours = {
        "bin": _ours(lab, "bin", {"target_bytes": target}),
        "sort": _ours(lab, "sort", {"strategy": "sort", "columns": KEYS, "target_bytes": ordered}),
        "zorder": _ours(lab, "zorder", {"strategy": "zorder", "columns": KEYS, "target_bytes": ordered}),
    }
    spark = _spark(lab, target, ordered)
    for name in ours:
        _refuse_unequal(catalog, name)
    rate = f"{size / MB / ours['bin']['seconds']:.0f} MB/s"
    for name, factor in (("bin", 5), ("sort", 3), ("zorder", 3)):
        a = Side(f"DRLS, {name}", (ours[name]["seconds"],))
        b = Side("rewrite_data_files", (spark[name]["seconds"],))
        lines.append(at_least("compaction", f"{name}, {count} files", a, b, factor, rate if name == "bin" else ""))
    peak = Side("DRLS, most memory", (max(one["peak"] for one in ours.values()) / MB,), "MB")
    theirs = Side("Spark, most memory", (max(one["peak"] for one in spark.values()) / MB,), "MB")
    lines.append(at_least("compaction", "memory", peak, theirs, 2))
    quickest = Side("DuckDB COPY", (duck["seconds"],))
    made = f"A made {_made(ours['bin'])}, B {_made(duck)}"
    lines.append(
        at_least("compaction", "quickest Python tool", Side("DRLS, bin", (ours["bin"]["seconds"],)), quickest, 1, made)
    )
    return [*lines, _pruning(catalog, scale)]


def _ours(lab: Lab, name: str, options: dict[str, Any]) -> dict[str, Any]:
    worker = lab.worker("compaction_ours")
    answer = worker.ask(table=f"{NAMESPACE}.{name}", options=options)
    worker.close()
    lab.log(f"DRLS {name}: {answer['seconds']:.1f} s, {answer['peak'] / MB:.0f} MB, {_made(answer)}")
    return answer


def _duckdb(lab: Lab, data: str, target: int) -> dict[str, Any]:
    worker = lab.worker("compaction_duckdb")
    answer = worker.ask(data=data.removeprefix("file://"), out=str(lab.data / "copied"), target=target)
    worker.close()
    lab.log(f"DuckDB: {answer['seconds']:.1f} s, {answer['peak'] / MB:.0f} MB, {_made(answer)}")
    return answer


def _made(answer: dict[str, Any]) -> str:
    return f"{answer['files']} files of {answer['bytes'] / MB:.0f} MB"


def _spark(lab: Lab, target: int, ordered: int) -> dict[str, dict[str, Any]]:
    state = lab.engine()
    options = "'target-file-size-bytes', '{}', 'min-input-files', '2', 'rewrite-all', 'true'"
    calls = {
        "bin": f"table => '{NAMESPACE}.bin_spark', options => map({options.format(target)})",
        "sort": f"table => '{NAMESPACE}.sort_spark', strategy => 'sort', sort_order => '{', '.join(KEYS)}', "
        f"options => map({options.format(ordered)})",
        "zorder": f"table => '{NAMESPACE}.zorder_spark', strategy => 'sort', "
        f"sort_order => 'zorder({', '.join(KEYS)})', options => map({options.format(ordered)})",
    }
    found: dict[str, dict[str, Any]] = {}
    with session(lab.settings) as opened:
        opened.spark.sql(f"select count(*) from lake.{NAMESPACE}.bin_spark").collect()
        for name, call in calls.items():
            with _peak_of(lambda: processes_of(state.engine_id)) as peak:
                began = time.perf_counter()
                opened.spark.sql(f"call lake.system.rewrite_data_files({call})").collect()
                found[name] = {"seconds": time.perf_counter() - began}
            found[name]["peak"] = peak[0]
            lab.log(f"Spark {name}: {found[name]['seconds']:.1f} s, {peak[0] / MB:.0f} MB")
    lab.stop_engine()
    return found


@contextmanager
def _peak_of(processes: Callable[[], list[psutil.Process]]) -> Iterator[list[int]]:
    """The most that the processes have to themselves at one time, looked at twice a second."""
    most, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            total = 0
            for one in processes():
                try:
                    total += one.memory_full_info().uss
                except psutil.NoSuchProcess:
                    continue
            most[0] = max(most[0], total)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def _refuse_unequal(catalog: Catalog, name: str) -> None:
    sums: list[tuple[Any, ...]] = []
    for table in (name, f"{name}_spark"):
        found = [0] * 4
        scan = catalog.load_table((NAMESPACE, table)).scan(
            selected_fields=("l_orderkey", "l_linenumber", "l_extendedprice")
        )
        for batch in scan.to_arrow_batch_reader():
            found[0] += batch.num_rows
            for at, column in enumerate(("l_orderkey", "l_linenumber", "l_extendedprice"), 1):
                found[at] += _sum(batch.column(column))
        sums.append(tuple(found))
    if sums[0] != sums[1]:
        raise RuntimeError(f"{name}: DRLS has {sums[0]}, Spark {sums[1]}")


def _sum(column: Any) -> Any:
    import pyarrow.compute as pc

    return pc.call_function("sum", [column]).as_py() or 0


def _pruning(catalog: Catalog, scale: float) -> Line:
    keys = int(200_000 * scale)
    query = QUERY.format(low=keys // 2, high=keys // 2 + keys // 10)
    table = catalog.load_table((NAMESPACE, "zorder"))
    whole = len(list(table.scan().plan_files()))
    read = len(list(table.scan(row_filter=query).plan_files()))
    return at_most(
        "compaction",
        "zorder prunes",
        Side("files read", (float(read),), "files"),
        Side("files", (float(whole),), "files"),
        (1 - PRUNED) * whole,
        f"≤ {1 - PRUNED:.0%} of files",
        "a tenth of l_partkey and half a year of l_shipdate",
    )
