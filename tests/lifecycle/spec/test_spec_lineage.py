"""Where each column of a result comes from."""

from __future__ import annotations

import time

import pytest

from lifecycle.spec import column_lineage

COLUMNS = {"flights": ("day", "carrier", "delay"), "airlines": ("carrier", "name")}

TRACED: list[tuple[str, dict[str, tuple[tuple[str, str], ...]]]] = [
    (
        "select day, delay + 1 as late from flights",
        {"day": (("flights", "day"),), "late": (("flights", "delay"),)},
    ),
    ("select f.* from flights f", {name: (("flights", name),) for name in COLUMNS["flights"]}),
    (
        "select DAY as Tag, `Carrier` from Flights",
        {"Tag": (("flights", "day"),), "Carrier": (("flights", "carrier"),)},
    ),
    ("select sum(delay) as s, count(*) as n, 1 as one from flights", {"s": (("flights", "delay"),)}),
    (
        "with d as (select carrier, avg(delay) m from flights) select name, m from d join airlines",
        {"name": (("airlines", "name"),), "m": (("flights", "delay"),)},
    ),
    (
        "select carrier as c from flights union all select name from airlines",
        {"c": (("airlines", "name"), ("flights", "carrier"))},
    ),
    (
        "select delay, delay * 2 as twice, twice + 1 as more from flights",
        {"delay": (("flights", "delay"),), "twice": (("flights", "delay"),), "more": (("flights", "delay"),)},
    ),
    (
        "select e from flights lateral view explode(split(carrier, ',')) x as e",
        {"e": (("flights", "carrier"),)},
    ),
    (
        "select row_number() over (partition by day order by delay) r from flights",
        {"r": (("flights", "day"), ("flights", "delay"))},
    ),
]


@pytest.mark.parametrize(("sql", "expected"), TRACED)
def test_columns_are_traced_to_upstream_nodes(
    sql: str, expected: dict[str, tuple[tuple[str, str], ...]]
) -> None:
    assert column_lineage(sql, COLUMNS) == expected


def test_columns_of_an_input_that_is_not_described_are_traced_by_name() -> None:
    assert column_lineage("select a from t", {"t": ()}) == {"a": (("t", "a"),)}


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "select",
        "values (1)",
        "select 1",
        "drop table x",
        "select * from other",
        "select nope from flights",
    ],
)
def test_what_cannot_be_traced_is_left_out(sql: str) -> None:
    assert column_lineage(sql, COLUMNS) == {}


def test_lineage_of_ordinary_sql_takes_less_than_100_ms() -> None:
    columns = ", ".join(f"f.delay + {index} as c{index}" for index in range(40))
    sql = f"with f as (select * from flights) select {columns}, a.name from f join airlines a using (carrier)"
    seconds: list[float] = []
    for _ in range(4):
        started = time.process_time()
        assert len(column_lineage(sql, COLUMNS)) == 41
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.1


@pytest.mark.parametrize(
    "sql",
    [
        "select delay a0, " + ", ".join(f"a{i} + a{i} as a{i + 1}" for i in range(60)) + " from flights",
        "with a0 as (select delay x from flights), "
        + ", ".join(f"a{i + 1} as (select l.x + r.x as x from a{i} l, a{i} r)" for i in range(60))
        + " select x from a60",
        "select " + "delay + " * 20_000 + "1 as x from flights",
    ],
)
def test_sql_that_would_grow_without_end_is_given_up_quickly(sql: str) -> None:
    started = time.process_time()
    column_lineage(sql, COLUMNS)
    assert time.process_time() - started < 3
