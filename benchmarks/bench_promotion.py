"""From an approval to production: refs move, whatever the size of the tables behind them."""

from __future__ import annotations

import contextlib

import pyarrow as pa

from benchmarks.lab import Lab, in_turn
from benchmarks.promotion_world import ROW, Promotions
from benchmarks.report import Line, Side, at_most

ROWS, FILES, FACTOR = 1_000_000, 2_000, 1.2
TABLES, LIMIT = 10, 0.3  # seconds


def run(lab: Lab) -> list[Line]:
    rows = lab.times(ROWS, ROWS // 10)
    with contextlib.closing(Promotions(lab)) as world:
        sales, in_files = _sales(rows), lab.times(FILES, FILES // 10)
        large = world.make("large.sales", sales, in_files)
        files = len(large.inspect.files())
        assert files >= in_files, files
        world.make("small.sales", ROW, 1)
        world.make("whole.sales", sales, in_files, first=ROW)
        many = tuple(f"many.t{number}" for number in range(TABLES))
        for name in many:
            world.make(name, ROW, 1)

        def promote_large() -> float:
            return world.promote("large", ("large.sales",))

        def promote_small() -> float:
            return world.promote("small", ("small.sales",))

        def promote_many() -> float:
            return world.promote("many", many)

        def promote_whole() -> float:
            return world.promote("whole", ("whole.sales",), sales)

        for side in (promote_large, promote_small, promote_many, promote_whole):
            side()
        # Twentieths of a second each: many, so that one that was disturbed does not decide.
        a, b = in_turn(lab.times(25, 3), promote_large, promote_small)
        ten, whole = in_turn(lab.times(7, 2), promote_many, promote_whole)
    big = Side(f"{rows:,} rows in {files:,} files", a)
    small = Side("a table of 1 KB", b)
    all_of_it = Side(f"a run wrote {files:,} files", whole)
    wanted = f"A ≤ {FACTOR} × B"
    note = (
        "no promotion wrote a data file, and each looked at the size of every file that its run wrote; each is a whole "
        "one: plan again, verify, journal, move, deployment, audit"
    )
    return [
        at_most("promotion", "large against small", big, small, FACTOR * small.median, wanted, note),
        at_most("promotion", "ten tables", Side("ten tables", ten), small, LIMIT, f"≤ {LIMIT:g} s"),
        at_most("promotion", "all of a table", all_of_it, small, LIMIT, f"≤ {LIMIT:g} s"),
    ]


def _sales(rows: int) -> pa.Table:
    return pa.table({"id": pa.array(range(rows), pa.int64()), "amount": pa.array(n / 7 for n in range(rows))})
