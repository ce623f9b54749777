"""Spark → Ray of TPC-H's lineitem (1.5M rows, 330 MB of Arrow): staged Parquet against RayDP's own `from_spark`.

Both read the same Parquet files with Spark and end when every block is in Ray's object store; then the rows
and the sums of the columns are compared. RayDP's side is started anew for each of its first calls.
"""

from __future__ import annotations

import math
from typing import Any

from benchmarks.exchange_data import make_lineitem
from benchmarks.lab import Lab
from benchmarks.report import Line, Side, at_least, at_most

MB = 1e6
FLAT = 0.25  # of one exchange's data: what the driver may grow in all of them


def run(lab: Lab) -> list[Line]:
    source = lab.folder / "exchange_in"
    size = make_lineitem(source, lab.folder / "tpch", lab.times(250, 50) / 1000) / MB
    lab.engine()
    ours = lab.worker("exchange_ours", source, lab.folder)
    for _ in range(5):
        ours.ask()
    own: list[dict[str, Any]] = []
    first: list[dict[str, Any]] = []
    warm: list[dict[str, Any]] = []
    grown: list[float] = []
    for _ in range(lab.times(2, 1)):
        theirs = lab.worker("exchange_raydp", source)
        first.append(theirs.ask())
        for _ in range(4):
            theirs.ask()
        for _ in range(lab.times(3, 2)):
            own.append(ours.ask())
            warm.append(theirs.ask())
            _refuse_unequal(own[-1], warm[-1])
        grown.append((warm[-1]["driver_bytes"] - first[-1]["driver_bytes"]) / MB)
        theirs.close()
    ours.close()
    a = Side(f"staged Parquet, {size:.0f} MB", _values(own, "seconds"))
    part = _values(own, "written")
    note = f"of A, {sorted(part)[len(part) // 2]:.2f} s until Spark has written; row counts and sums are equal"
    memory = Side("driver grown, staged", (max(0.0, own[-1]["driver_bytes"] - own[0]["driver_bytes"]) / MB,), "MB")
    return [
        at_least("exchange", "RayDP warm", a, Side("from_spark, warm", _values(warm, "seconds")), 1.15, note),
        at_least("exchange", "RayDP's first call", a, Side("from_spark, first", _values(first, "seconds")), 3),
        at_most(
            "exchange",
            "driver memory",
            memory,
            Side("driver grown, from_spark", tuple(grown), "MB"),
            FLAT * size,
            f"≤ {FLAT * size:.0f} MB",
            f"over {len(own)} exchanges; the driver holds {own[-1]['driver_bytes'] / MB:.0f} MB, "
            f"RayDP's {warm[-1]['driver_bytes'] / MB:.0f} MB",
        ),
    ]


def _values(answers: list[dict[str, Any]], name: str) -> tuple[float, ...]:
    return tuple(float(answer[name]) for answer in answers)


def _refuse_unequal(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Raises RuntimeError unless both sides have all rows and the same sums."""
    same = all(math.isclose(a, b, rel_tol=1e-9) for a, b in zip(ours["checksum"], theirs["checksum"], strict=True))
    if not same or ours["rows"] != theirs["rows"]:
        raise RuntimeError(f"the sides differ: {ours}, {theirs}")
