"""From an approval to production: refs move, whatever the size of the tables behind them."""

from __future__ import annotations

import contextlib

import pyarrow as pa

from benchmarks.lab import Lab, in_turn
from benchmarks.promotion_world import ROW, Promotions
from benchmarks.report import Line, Side, at_most

ROWS, FILES, FACTOR = 1_000_000, 2_000, 1.2
TABLES, LIMIT = 10, 1.0  # seconds


def run(lab: Lab) -> list[Line]:
    rows = lab.times(ROWS, ROWS // 10)
    with contextlib.closing(Promotions(lab)) as world:
        large = world.make("large.sales", _sales(rows), lab.times(FILES, FILES // 10))
        files = len(large.inspect.files())
        assert files >= lab.times(FILES, FILES // 10), files
        world.make("small.sales", ROW, 1)
        many = tuple(f"many.t{number}" for number in range(TABLES))
        for name in many:
            world.make(name, ROW, 1)

        def promote_large() -> float:
            return world.promote("large", ("large.sales",))

        def promote_small() -> float:
            return world.promote("small", ("small.sales",))

        def promote_many() -> float:
            return world.promote("many", many)

        for side in (promote_large, promote_small, promote_many):
            side()
        # Twentieths of a second each: many, so that one that was disturbed does not decide.
        a, b = in_turn(lab.times(25, 3), promote_large, promote_small)
        (ten,) = in_turn(lab.times(7, 2), promote_many)
    big = Side(f"{rows:,} rows in {files:,} files", a)
    small = Side("a table of 1 KB", b)
    wanted = f"A ≤ {FACTOR} × B"
    note = "no promotion wrote a data file; each is a whole one: plan again, journal, move, deployment, audit"
    return [
        at_most("promotion", "large against small", big, small, FACTOR * small.median, wanted, note),
        at_most("promotion", "ten tables", Side("ten tables", ten), small, LIMIT, f"≤ {LIMIT:g} s"),
    ]


def _sales(rows: int) -> pa.Table:
    return pa.table({"id": pa.array(range(rows), pa.int64()), "amount": pa.array(n / 7 for n in range(rows))})
