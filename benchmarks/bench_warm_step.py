"""The first row on the warm engine against the first row with no engine running.

The same command in a fresh process both times: it imports, joins or starts the engine, connects, asks for one
row.
"""

from __future__ import annotations

import sys

from benchmarks.lab import Lab, command_seconds, in_turn
from benchmarks.report import Line, Side, at_least


def run(lab: Lab) -> list[Line]:
    def first_row() -> float:
        return command_seconds(sys.executable, "-m", "benchmarks.first_row")

    def cold() -> float:
        lab.stop_engine()
        took = first_row()
        lab.engine()  # the Ray runner still starts behind the first row, and would disturb the warm side
        return took

    cold_times, warm_times = in_turn(lab.times(3, 1), cold, first_row)
    warm = Side("first row, engine warm", warm_times)
    return [at_least("warm_step", "fresh client", warm, Side("first row, no engine", cold_times), 6)]
