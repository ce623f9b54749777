"""Sources of kind jdbc that are read by a column whose values only grow, on a real PostgreSQL."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

import pytest
from lab import Lab, sink, sql
from lifecycle_lab import PRODUCTION, QA, UAT, LifecycleLab
from shop import Database, jdbc

from drls_dagster.cli.main import run
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.positions import POSITIONS
from lifecycle.domain.plan import Carry

HOSTILE = 'no "1"; DROP TABLE grown; --'
# Of each kind of column: its type, and the value of row n.
KINDS = {
    "amount": ("numeric(30, 10)", "12345678901234567890 + n / 1000.0"),
    "day": ("date", "date '2024-02-28' + n"),
    "wall": ("timestamp", "timestamp '2024-03-31 02:30:00.123456' + n * interval '1 microsecond'"),
    "instant": ("timestamptz", "timestamptz '2024-10-27 00:59:59.999998+00' + n * interval '1 microsecond'"),
    HOSTILE: ("bigint", "n - 9007199254740993"),
}


def grow(database: Database, numbers: Sequence[int]) -> None:
    values = ", ".join(text for _, text in KINDS.values())
    database.do(f"INSERT INTO grown SELECT n, {values} FROM unnest(array{list(numbers)}) n")


def positions(lab: Lab, table: str) -> list[dict[str, Any]]:
    found = json.loads(lab.summary(table)[POSITIONS])
    return [json.loads(found[key]) for key in sorted(found)]


def test_d4_each_run_reads_what_lies_behind_the_last_by_a_column_of_any_kind_and_no_row_twice(
    lab: Lab, database: Database
) -> None:
    columns = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" {kind}' for name, (kind, _) in KINDS.items())
    database.do("DROP TABLE IF EXISTS grown", f"CREATE TABLE grown (n int, {columns})")
    nodes = [
        jdbc(f"by_{at}", table="grown", incremental_column=name, partition_column="n", partitions=1 + at // 4)
        for at, name in enumerate(KINDS)
    ]
    nodes.append(jdbc("by_query", query='SELECT n AS "Größe" FROM grown WHERE n <> :never', incremental_column="größe"))
    counted = [f"SELECT '{node['id']}' AS how, n FROM {node['id']}" for node in nodes[:-1]]
    text = lab.pipeline(
        *nodes,
        sql("all_of_them", " UNION ALL ".join([*counted, "SELECT 'by_query', `Größe` FROM by_query"])),
        sink("out", lab.named("out"), "append"),
        flow=", ".join(f"{node['id']}>all_of_them" for node in nodes) + ", all_of_them>out",
        parameters={"never": {"type": "integer", "default": -1}},
    )
    names = [node["id"] for node in nodes]
    for more in ([1, 2, 3], [4, 5, 6]):
        grow(database, more)
        lab.prepare(text, never=-1).sink("out")
    assert lab.rows("out", "how", "n") == sorted(((how, n) for how in names for n in range(1, 7)), key=repr)
    found = {one["column"]: one for one in positions(lab, "out")}
    assert {name: one["value"] for name, one in found.items()} == {
        "amount": "12345678901234567890.0060000000",
        "day": "2024-03-05",
        "wall": "2024-03-31 02:30:00.123462",
        "instant": "2024-10-27 01:00:00.000004",
        HOSTILE: "-9007199254740987",
        "Größe": "6",
    }
    assert {one["rows"] for one in found.values()} == {1}


def test_d2_sinks_at_two_positions_a_retry_and_a_re_execution_read_the_same_rows_although_the_table_grew(
    lab: Lab, orders: str, database: Database
) -> None:
    def pipeline(*names: str) -> str:
        return lab.pipeline(
            jdbc("orders", table=orders, incremental_column="id"),
            *(sink(name, lab.named(name), "append") for name in names),
            flow=", ".join(f"orders>{name}" for name in names),
        )

    database.do("DELETE FROM orders WHERE id > 10")
    lab.prepare(pipeline("one")).sink("one")
    database.do("INSERT INTO orders (id) VALUES (11), (12)")
    text = pipeline("one", "two")
    step = lab.prepare(text)
    step.sink("one")
    database.do("INSERT INTO orders (id) VALUES (13)", "DELETE FROM orders WHERE id = 5")
    step.sink("two")
    assert sorted(row[0] for row in lab.rows("one", "id")) == [*range(1, 13)]
    assert sorted(row[0] for row in lab.rows("two", "id")) == [*range(1, 5), *range(6, 13)]
    database.do("DELETE FROM orders")
    again = lab.prepare(text, run_key=step.run.run_key)
    assert again.sink("two").repeated
    assert again.frames.frame("orders", again.run.reads_of("orders")).count() == 11


def test_what_cannot_be_followed_is_refused_and_says_why(lab: Lab, orders: str, database: Database) -> None:
    database.do(
        "DROP TABLE IF EXISTS unfit",
        "CREATE TABLE unfit (id int, name text, share double precision, at timestamptz, rest int)",
        "INSERT INTO unfit VALUES (1, 'a', 0.5, 'infinity', 1), (2, 'b', 'NaN', now(), NULL)",
    )
    refusals = {
        "name": "the column 'name' is string, and rows are followed by whole numbers",
        "share": "the column 'share' is double, and rows are followed by whole numbers",
        "at": "the highest value of 'at' is infinite or finer than a microsecond",
        "rest": "1 row(s) have no value in 'rest', and an incremental read would never see them",
        "gone": "there is no column 'gone' to follow; there are id, name",
        'id" IS NULL OR "id': "there is no column",
    }
    nodes = [jdbc(f"n{at}", table="unfit", incremental_column=name) for at, name in enumerate(refusals)]
    text = lab.pipeline(
        *nodes,
        sql("everything", "SELECT 1 AS one FROM " + ", ".join(node["id"] for node in nodes)),
        sink("out", lab.named("out"), "append"),
        flow=", ".join(f"{node['id']}>everything" for node in nodes) + ", everything>out",
    )
    step = lab.prepare(text)
    for node, words in zip(nodes, refusals.values(), strict=True):
        with pytest.raises(DrlsError) as refused:
            step.run.reads_of(node["id"])
        assert str(refused.value).startswith(f"node '{node['id']}': {words}")
        assert "\n" not in str(refused.value)


def test_d4_a_column_that_went_back_late_rows_and_another_column_stop_the_run_with_a_remedy_that_works(
    lab: Lab, orders: str, database: Database
) -> None:
    def runs(expected: str = "", **source: Any) -> str:
        node = jdbc("orders", **{"table": orders, "incremental_column": "at", **source})
        text = lab.pipeline(node, sink("out", lab.named("out"), "append"), flow="orders>out")
        if not expected:
            lab.prepare(text).sink("out")
            return ""
        with pytest.raises(DrlsError) as refused:
            lab.prepare(text).sink("out")
        assert expected in str(refused.value)
        return str(refused.value)

    def decide(told: str, to: str) -> None:
        command = (
            told.partition("`drls ")[2]
            .partition("`")[0]
            .replace("start|VALUE", "")
            .replace(" TABLE ", f" {'.'.join(lab.identifier('out'))} ")
        )
        assert run([*shlex.split(command), to]) == 0

    def ids() -> list[int]:
        return sorted(row[0] for row in lab.rows("out", "id"))

    database.do("DELETE FROM orders WHERE id > 3")
    runs()
    # Rows at the very moment up to which the sink has read, committed after it.
    database.do("INSERT INTO orders SELECT 4, 'late', 1, max(at) FROM orders")
    told = runs("1 row(s) with at = 2024-01-01 03:00:00 came after the sink had read up to there")
    decide(told, "2024-01-01 03:00:00")
    database.do("INSERT INTO orders VALUES (5, 'next', 1, '2024-01-01 05:00Z')")
    runs()
    assert ids() == [1, 2, 3, 5]
    # An older state of the table is restored, and its rows begin anew.
    database.do("TRUNCATE orders", "INSERT INTO orders VALUES (1, 'again', 1, '2024-01-01 04:00Z')")
    told = runs("'at' of shop/orders@")
    assert "ends at 2024-01-01 04:00:00, and the sink has read it up to 2024-01-01 05:00:00" in told
    assert ids() == [1, 2, 3, 5]
    decide(told, "start")
    runs()
    assert ids() == [1, 1, 2, 3, 5]
    # Another column, table or connection: what is read of it, nobody knows.
    told = runs("by the column 'at', and not by 'id'", incremental_column="id")
    decide(told, "7")
    database.do("INSERT INTO orders VALUES (8, 'new', 1, '2024-01-01 04:00Z')")
    runs(incremental_column="id")
    assert ids() == [1, 1, 2, 3, 5, 8]
    runs("by the table 'public.orders', and not by 'orders'", table="orders", incremental_column="id")
    query = {"table": None, "query": "SELECT * FROM orders", "incremental_column": "id"}
    runs("by the table 'public.orders', and not by 'query'", **query)
    decide(told, "8")
    runs(**query)
    assert ids() == [1, 1, 2, 3, 5, 8]


def test_l4_a_followed_table_goes_to_production_with_its_position_and_production_continues_from_there(
    life: LifecycleLab, orders: str, database: Database
) -> None:
    database.do("DELETE FROM orders WHERE id > 5")
    number = life.save(
        jdbc("orders", "shop", table=orders, incremental_column="id"),
        sink("out", life.named("out"), "append"),
        flow="orders>out",
    )
    life.walk(number, QA)
    database.do("INSERT INTO orders (id) VALUES (6)")
    life.works(QA)
    life.walk(number, UAT)
    database.do("INSERT INTO orders (id) VALUES (7)")
    life.works(UAT)
    asked = life.ask(number, PRODUCTION)
    plan = life.lea.promotions.show(asked.id).plan
    assert plan.carry is Carry.SNAPSHOT
    assert [(one.source, one.state) for one in plan.positions] == [("shop/orders", "continues")]
    life.approve(asked)
    database.do("INSERT INTO orders (id) VALUES (8)")
    ran = life.works(PRODUCTION)
    assert ran.tables["out"]["inputs"]["orders"]["rows"] == 1
    assert sorted(row[0] for row in life.rows("out", "id")) == list(range(1, 9))
    assert life.unanswered("out", PRODUCTION) == []
