"""`drls --help`: what every command waits for before it does anything."""

from __future__ import annotations

import sys

from benchmarks.lab import Lab, command_seconds, in_turn
from benchmarks.report import Line, Side, at_most

LIMIT = 0.4  # seconds


def run(lab: Lab) -> list[Line]:
    python = sys.executable
    ours, nothing, dagster = in_turn(
        lab.times(9, 3),
        lambda: command_seconds(python, "-m", "drls_dagster.cli.main", "--help"),
        lambda: command_seconds(python, "-c", "pass"),
        lambda: command_seconds(python, "-m", "dagster", "--help"),
    )
    a = Side("drls --help", ours)
    return [
        at_most("help", "against dagster --help", a, Side("dagster --help", dagster), LIMIT, f"< {LIMIT} s"),
        Line("help", "against Python alone", a, Side("python -c pass", nothing)),
    ]
