"""Spark → Ray of TPC-H's lineitem (1.5M rows, 330 MB of Arrow): staged Parquet against RayDP's own `from_spark`.

Both read the same Parquet files with Spark and end when Ray tasks have summed the integer columns of every row: there
from blocks of the object store, here from the files, as a step does. Rows and sums are compared. Only one of the two
clusters lives at a time, so that neither pays for the other's presence; both have the same cores, memory and object
store, and as many calls before those that count.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from benchmarks.exchange_data import make_lineitem
from benchmarks.lab import Lab
from benchmarks.report import Line, Side, at_least, at_most

MB = 1e6
# RayDP's from_spark copies whole partitions on the executor's heap: with the engine's default of 1 GB it ends in an
# OutOfMemoryError at 240 MB. And with the default object store it would have to spill.
EXECUTOR_MEMORY, OBJECT_STORE = "3g", "2g"
WARM_UP = 10  # calls of each new cluster that do not count: Java still compiles. RayDP's first one does, for itself
COUNTED = 8, 2  # calls after them, in a whole and in a quick run
FLAT = 0.25  # of one exchange's data: what the driver may grow in all of them


def run(lab: Lab) -> list[Line]:
    source = lab.data / "exchange_in"
    size = make_lineitem(source, lab.folder / "tpch", lab.times(250, 50) / 1000) / MB
    rounds: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]] = []
    with lab.sized(memory=EXECUTOR_MEMORY, object_store_memory=OBJECT_STORE):
        for _ in range(lab.times(2, 1)):
            ours = _ours(lab, source)
            rounds.append((ours, _theirs(lab, source)))
    own = [answer for ours, _ in rounds for answer in ours[WARM_UP:]]
    first = [theirs[0] for _, theirs in rounds]
    warm = [answer for _, theirs in rounds for answer in theirs[WARM_UP:]]
    for mine, other in zip(own, warm, strict=True):
        _refuse_unequal(mine, other)
    grown_ours = tuple(_grown(ours[WARM_UP:]) for ours, _ in rounds)
    grown_theirs = tuple(_grown(theirs) for _, theirs in rounds)
    a = Side(f"staged Parquet, {size:.0f} MB", _values(own, "seconds"))
    part = _values(own, "written")
    note = f"of A, {sorted(part)[len(part) // 2]:.2f} s until Spark has written; row counts and sums are equal"
    memory = Side("driver grown, staged", grown_ours, "MB")
    return [
        at_least("exchange", "RayDP warm", a, Side("from_spark, warm", _values(warm, "seconds")), 1.15, note),
        at_least("exchange", "RayDP's first call", a, Side("from_spark, first", _values(first, "seconds")), 3),
        at_most(
            "exchange",
            "driver memory",
            memory,
            Side("driver grown, from_spark", grown_theirs, "MB"),
            FLAT * size,
            f"≤ {FLAT * size:.0f} MB",
            f"over {lab.times(*COUNTED)} exchanges; the driver holds {own[-1]['driver_bytes'] / MB:.0f} MB, "
            f"RayDP's {warm[-1]['driver_bytes'] / MB:.0f} MB",
        ),
    ]


def _ours(lab: Lab, source: Path) -> list[dict[str, Any]]:
    """All answers of a new engine, which then ends."""
    lab.engine()
    worker = lab.worker("exchange_ours", source, lab.data)
    answers = [worker.ask() for _ in range(WARM_UP + lab.times(*COUNTED))]
    worker.close()
    lab.stop_engine()
    return answers


def _theirs(lab: Lab, source: Path) -> list[dict[str, Any]]:
    """All answers of a new RayDP driver, which then ends."""
    worker = lab.worker("exchange_raydp", source)
    answers = [worker.ask() for _ in range(WARM_UP + lab.times(*COUNTED))]
    worker.close()
    return answers


def _grown(answers: list[dict[str, Any]]) -> float:
    """What the driver grew from the first to the last of them, in MB."""
    return max(0.0, answers[-1]["driver_bytes"] - answers[0]["driver_bytes"]) / MB


def _values(answers: list[dict[str, Any]], name: str) -> tuple[float, ...]:
    return tuple(float(answer[name]) for answer in answers)


def _refuse_unequal(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raises RuntimeError unless both sides have all rows and the same sums."""
    if not all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(ours["sums"], theirs["sums"], strict=True)):
        raise RuntimeError(f"the sides differ: {ours}, {theirs}")
