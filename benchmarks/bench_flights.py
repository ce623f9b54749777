"""The flights example, a whole year in one run, warm, against the same in plain local Spark.

Ours goes through Dagster, Spark on Ray and Ray; it writes, audits (nine checks), publishes, and records
lineage, schemas and receipts. The plain side writes the same tables with the same SQL and Python (see
`plain_flights`); its time is taken without and with the same checks. Both sides rewrite tables that exist,
after runs that do not count.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

from benchmarks.lab import CHECKOUT, Lab, command_seconds, in_turn, median, run_seconds
from benchmarks.report import Line, Side, at_most
from drls_dagster.cli.demo_data import lay_out
from drls_dagster.engine.jars import all_jars, ensure_jars
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.launch.choices import Partitions, select_nodes
from drls_dagster.launch.find import find_pipeline
from drls_dagster.launch.run import launch
from lifecycle.domain.environment import Environment

FILE = CHECKOUT / "examples" / "flights" / "flights_daily.yaml"
TABLES = {"daily_delays": ("day", "origin"), "aircraft_use": ("month", "tailnum", "airline")}
FACTOR, SECONDS = 1.3, 2.0


class Flights:
    """The example in the lab's home."""

    def __init__(self, lab: Lab) -> None:
        self.settings = lab.settings
        self.landing = Path(lab.settings.landing_for(Environment.DEVELOPMENT))
        lay_out(self.landing)
        self.loaded = find_pipeline(str(FILE), lab.settings)

    def run(self) -> float:
        """One run through Dagster; seconds."""
        assert self.loaded.spec is not None
        outcome = launch(
            self.loaded,
            self.settings,
            Environment.DEVELOPMENT,
            nodes=select_nodes(self.loaded.spec, None),
            parameters={"min_flights": 10},
            partitions=Partitions("2013-01-01", "2013-12-01"),
        )
        return run_seconds(outcome)


def run(lab: Lab) -> list[Line]:
    flights = Flights(lab)
    folder = lab.folder / "plain"
    ensure_jars(lab.settings)
    jars = ",".join(str(jar) for jar in all_jars(lab.settings))
    arguments = (FILE, flights.landing, folder, jars)
    folder.mkdir(exist_ok=True)
    lab.engine()
    plain = lab.worker("plain_flights", *arguments)
    checked: list[float] = []

    def plain_run() -> float:
        took = plain.ask()
        checked.append(took["checked"])
        return took["written"]

    for _ in range(lab.times(2, 1)):
        flights.run()
        plain_run()
    checked.clear()
    ours, written = in_turn(lab.times(5, 2), flights.run, plain_run)
    rows = verify(lab, folder)
    plain.close()
    lines = [
        _line("same tables", ours, written, f"equal on both sides, compared value by value: {rows}"),
        _line("same tables and checks", ours, tuple(checked), ""),
    ]
    once = lab.folder / "once"
    once.mkdir()
    command = (sys.executable, "-m", "drls_dagster.cli.main", "run", str(FILE), "--partition", "all")
    script = (
        sys.executable,
        "-m",
        "benchmarks.plain_flights",
        *map(str, (FILE, flights.landing, once, jars, "once")),
    )
    command_seconds(*script)  # makes the tables
    a, b = in_turn(lab.times(3, 1), lambda: command_seconds(*command), lambda: command_seconds(*script))
    a_side, b_side = (
        Side("drls run, the whole command, engine warm", a),
        Side("plain Spark, a script of its own", b),
    )
    return [*lines, Line("flights", "whole process", a_side, b_side)]


def _line(what: str, ours: tuple[float, ...], plain: tuple[float, ...], note: str) -> Line:
    a, b = Side("DRLS run, warm", ours), Side("plain local Spark, warm", plain)
    wanted = f"A ≤ {FACTOR:g} × B + {SECONDS:g} s = {FACTOR * median(plain) + SECONDS:.1f} s"
    return at_most("flights", what, a, b, FACTOR * median(plain) + SECONDS, wanted, note)


def verify(lab: Lab, folder: Path) -> str:
    """Both sides' tables hold the same rows, floats to 1e-9. Raises RuntimeError where they do not."""
    own = load_catalog(lab.settings)
    plain = SqlCatalog("lake", uri=f"sqlite:///{folder / 'catalog.db'}", warehouse=str(folder / "warehouse"))
    told: list[str] = []
    for name, keys in TABLES.items():
        ours = _rows(own.load_table(("flights__development", name)).scan().to_arrow(), keys)
        theirs = _rows(plain.load_table(("flights", name)).scan().to_arrow(), keys)
        if len(ours) != len(theirs) or not all(_same(a, b) for a, b in zip(ours, theirs, strict=True)):
            raise RuntimeError(f"{name} is not the same on both sides")
        told.append(f"{name} {len(ours):,} rows")
    return ", ".join(told)


def _rows(table: pa.Table, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    return table.sort_by([(key, "ascending") for key in keys]).to_pylist()


def _same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    return ours.keys() == theirs.keys() and all(
        math.isclose(value, theirs[name], rel_tol=1e-9)
        if isinstance(value, float) and isinstance(theirs[name], float)
        else value == theirs[name]
        for name, value in ours.items()
    )
