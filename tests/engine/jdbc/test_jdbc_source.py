"""Sources of kind jdbc on a real PostgreSQL."""

from __future__ import annotations

from lab import Lab, sink, sql
from shop import Database, jdbc


def test_a_table_is_read_and_published(lab: Lab, orders: str) -> None:
    text = lab.pipeline(jdbc("orders", table=orders), sink("out", lab.named("out"), "overwrite"), flow="orders>out")
    ran = lab.run(text)
    assert ran.success, ran.failures
    assert len(lab.rows("out")) == 1000
    assert ran.tables["out"]["inputs"]["orders"]["rows"] == 1000


def test_d2_two_sinks_and_a_retry_read_the_same_rows_although_the_database_moves(
    lab: Lab, orders: str, database: Database
) -> None:
    text = lab.pipeline(
        jdbc("orders", table=orders, partition_column="id", partitions=4),
        sql("totals", "SELECT customer, sum(price) AS spent FROM orders GROUP BY customer"),
        sink("one", lab.named("one"), "overwrite"),
        sink("two", lab.named("two"), "overwrite"),
        flow="orders>totals>one, orders>two",
    )
    step = lab.prepare(text)
    step.sink("one")
    database.do("DELETE FROM orders WHERE id <= 500", "UPDATE orders SET price = 0")
    step.sink("two")
    assert len(lab.rows("two")) == 1000
    assert sum(row[1] for row in lab.rows("one")) == sum(row[2] for row in lab.rows("two"))
    again = lab.prepare(text, run_key=step.run.run_key)
    assert again.frames.frame("orders", again.run.reads_of("orders")).count() == 1000
    anew = lab.prepare(text)
    assert anew.frames.frame("orders", anew.run.reads_of("orders")).count() == 500
