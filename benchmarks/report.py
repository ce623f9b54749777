"""What a benchmark found: lines of a table for people, JSON for programs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

PACKAGES = ("dagster", "pyspark", "ray", "raydp", "pyiceberg", "pyarrow", "numpy")


@dataclass(frozen=True)
class Side:
    """One side of a comparison: what was measured, and each repetition's value."""

    what: str
    values: tuple[float, ...]
    unit: str = "s"  # s, ms, MB of 10^6 bytes, GB/s, or what is counted

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        digits = {"s": 2, "ms": 1, "GB/s": 2}.get(self.unit, 0)
        text = f"{self.median:.{digits}f} {self.unit}"
        if len(self.values) > 1:
            text += f" ({min(self.values):.{digits}f}–{max(self.values):.{digits}f})"
        return f"{self.what}: {text}"


@dataclass(frozen=True)
class Line:
    """A of ours against B. `ok` is None where nothing is wanted of the line."""

    benchmark: str
    what: str
    a: Side
    b: Side
    wanted: str = ""
    ok: bool | None = None
    note: str = ""
    ratio: float = field(init=False)  # of the medians, B / A: how many times less A takes

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratio", self.b.median / self.a.median if self.a.median > 0 else float("inf"))


def at_least(benchmark: str, what: str, a: Side, b: Side, factor: float, note: str = "") -> Line:
    """A line that wants B to take `factor` times what A takes."""
    line = Line(benchmark, what, a, b, f"≥ {factor:g} ×", None, note)
    return Line(benchmark, what, a, b, line.wanted, line.ratio >= factor, note)


def at_most(benchmark: str, what: str, a: Side, b: Side, limit: float, wanted: str, note: str = "") -> Line:
    """A line that wants the median of A to be no more than `limit`, in A's unit."""
    return Line(benchmark, what, a, b, wanted, a.median <= limit, note)


def show(lines: Sequence[Line], console: Console) -> None:
    """The table; a line that missed what is wanted is red and says MISSED."""
    table = Table("benchmark", "A (median, least–most)", "B", "B / A", "wanted", "ok", title="benchmarks")
    for line in lines:
        mark = {True: "yes", False: "MISSED", None: ""}[line.ok]
        table.add_row(
            f"{line.benchmark}\n{line.what}",
            str(line.a),
            str(line.b),
            f"{line.ratio:.2f}",
            line.wanted,
            mark,
            style="bold red" if line.ok is False else None,
            end_section=True,
        )
    console.print(table)
    for line in lines:
        if line.note:
            console.print(f"{line.benchmark}, {line.what}: {line.note}", style="dim", highlight=False)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_average": os.getloadavg(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "java": (java.stderr or java.stdout).partition("\n")[0],
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def write_json(lines: Sequence[Line], failures: dict[str, str], facts: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {"machine": facts, "failures": failures, "lines": [asdict(line) for line in lines]}
    path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
