"""A fresh client that asks for one row. `python -m benchmarks.first_row` is one measurement."""

from __future__ import annotations

from drls_dagster.engine.session import session
from drls_dagster.settings import load_settings


def main() -> None:
    with session(load_settings()) as opened:
        rows = opened.spark.sql("SELECT 1 AS one").collect()
    assert [row.one for row in rows] == [1]


if __name__ == "__main__":
    main()
