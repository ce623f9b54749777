"""`python -m benchmarks [NAME…]`: measure, print a table, write JSON.

Exit code 1 if a wanted ratio was missed, 130 on Ctrl-C; everything that was started is stopped either way.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.lab import Lab
from benchmarks.report import Line, machine, show, write_json

# In this order: what starts and stops the engine first, what a used engine weighs last.
NAMES = (
    "help",
    "lifecycle",
    "pages",
    "mcp",
    "health",
    "promotion",
    "gate",
    "runs",
    "changes",
    "warm_step",
    "start",
    "approval",
    "flights",
    "expire",
    "jdbc",
    "kafka",
    "dbt",
    "ray_step",
    "fences",
    "exchange",
    "compaction",
    "overhead",
)
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    arguments = argparse.ArgumentParser(prog="benchmarks", description="Measure every claim of speed.")
    arguments.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all")
    arguments.add_argument("--quick", action="store_true", help="less data, fewer repetitions: does it run at all?")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="default: benchmarks/results/<date>.json")
    given = arguments.parse_args()
    unknown = sorted(set(given.names) - set(NAMES))
    if unknown:
        arguments.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console()
    errors = Console(stderr=True)
    facts = {**machine(), "quick": given.quick}
    lines: list[Line] = []
    failures: dict[str, str] = {}
    try:
        with Lab(quick=given.quick, log=lambda text: errors.print(f"  {text}", style="dim", highlight=False)) as lab:
            for name in [name for name in NAMES if name in given.names or not given.names]:
                began = time.perf_counter()
                errors.print(f"{name} …")
                try:
                    lines += importlib.import_module(f"benchmarks.bench_{name}").run(lab)
                except Exception as error:  # noqa: BLE001  the other benchmarks are wanted all the same
                    failures[name] = f"{type(error).__name__}: {error}"
                    errors.print(f"{name} failed: {failures[name]}", style="red", markup=False)
                errors.print(f"{name}: {time.perf_counter() - began:.0f} s")
    except KeyboardInterrupt:
        errors.print("interrupted; what was started is stopped")
        show(lines, console)
        return 130
    show(lines, console)
    path = given.json or RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}.json"
    write_json(lines, failures, facts, path)
    missed = [line for line in lines if line.ok is False]
    for line in missed:
        console.print(f"MISSED {line.benchmark}, {line.what}: wanted {line.wanted}", style="bold red", highlight=False)
    for name, text in failures.items():
        console.print(f"FAILED {name}: {text}", style="bold red", markup=False, highlight=False)
    console.print(f"written to {path}")
    return 1 if missed or failures else 0


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
