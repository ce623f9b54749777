"""Sources of kind jdbc on a real PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from lab import Lab, sink, sql, wait_for
from shop import Database, jdbc

from drls_dagster.errors import DrlsError


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


def test_what_cannot_be_read_is_said_in_words_and_changes_nothing(lab: Lab, orders: str, database: Database) -> None:
    database.do(
        "DROP TABLE IF EXISTS hidden, loose",
        "CREATE TABLE hidden (id int)",
        "REVOKE ALL ON hidden FROM reader",
        "CREATE TABLE loose (id int, amount numeric)",
        "CREATE OR REPLACE FUNCTION adds() RETURNS int LANGUAGE sql SECURITY DEFINER AS "
        "'INSERT INTO orders (id) VALUES (0) RETURNING 1'",
    )
    sources = {
        "wrong": (jdbc("wrong", "wrong", table=orders), "it refuses the user or the password"),
        "silent": (jdbc("silent", "silent", table=orders), "it does not answer"),
        "nowhere": (jdbc("nowhere", "nowhere", table=orders), "there is no connection 'nowhere' in development"),
        "gone": (jdbc("gone", table="public.gone"), "there is no table public.gone"),
        "hidden": (jdbc("hidden", table="hidden"), "the user may not read hidden"),
        "loose": (jdbc("loose", table="loose"), "the column 'amount' is a number without precision"),
        "adds": (jdbc("adds", query="SELECT adds() AS one"), "the query would change something (INSERT)"),
        "two": (jdbc("two", query="SELECT 1) q; DROP TABLE orders; --"), "the query does not parse"),
        "column": (jdbc("column", table=orders, partition_column="x", partitions=2), "there is no column 'x' to read"),
        "text": (jdbc("text", table=orders, partition_column="customer", partitions=2), "'customer' is string, and"),
    }
    text = lab.pipeline(
        *(node for node, _ in sources.values()),
        sql("everything", "SELECT 1 AS one FROM " + ", ".join(sources)),
        sink("out", lab.named("out"), "overwrite"),
        flow=", ".join(f"{name}>everything" for name in sources) + ", everything>out",
    )
    run = lab.prepare(text)
    for name, (_, words) in sources.items():
        with pytest.raises(DrlsError) as refused:
            run.frames.frame(name, run.run.reads_of(name))
        assert words in str(refused.value), name
        assert "\n" not in str(refused.value)
        assert name == "nowhere" or str(refused.value).startswith(f"node '{name}': ")
    assert database.ask("SELECT count(*) FROM orders") == [(1000,)]
    assert not list((lab.settings.home / "staging").glob(f"{run.run.run_key}/*/*"))


def test_types_and_spans_of_parts_lose_no_row(lab: Lab, database: Database) -> None:
    database.do(
        "DROP TABLE IF EXISTS kinds",
        "CREATE TABLE kinds (n int, d date, ts timestamp, tz timestamptz, p numeric(10, 3), j jsonb, u uuid, b bytea, "
        "a int[], t boolean, f real)",
        "INSERT INTO kinds SELECT n, date '2024-03-30' + n, timestamp '2024-03-31 01:30' + n * interval '1 minute', "
        "timestamptz '2024-03-31 00:30Z' + n * interval '1 minute', n / 8.0, jsonb_build_object('n', n), "
        "'00000000-0000-0000-0000-00000000000a', '\\x00ff', array[n, null], n % 2 = 0, 0.5 FROM generate_series(-5, 94) n",
        "INSERT INTO kinds (n) VALUES (NULL)",
    )
    columns = ("n", "d", "tz", "p")
    names = [f"by_{column}" for column in columns]
    text = lab.pipeline(
        *(jdbc(f"by_{column}", table="kinds", partition_column=column, partitions=3) for column in columns),
        sql("everything", " UNION ALL ".join(f"SELECT '{name}' AS how, * FROM {name}" for name in names)),
        sink("out", lab.named("out"), "overwrite"),
        flow=", ".join(f"{name}>everything" for name in names) + ", everything>out",
    )
    ran = lab.run(text)
    assert ran.success, ran.failures
    rows = lab.table("out").scan().to_arrow().to_pylist()
    for name in names:
        own = [row for row in rows if row["how"] == name]
        assert len({row["n"] for row in own}) == len(own) == 101, name
    one = next(row for row in rows if row["n"] == 1 and row["how"] == "by_n")
    assert one == {
        "how": "by_n", "n": 1, "d": date(2024, 3, 31), "ts": datetime(2024, 3, 31, 1, 31),
        "tz": datetime(2024, 3, 31, 0, 31, tzinfo=UTC), "p": Decimal("0.125"), "j": '{"n": 1}',
        "u": "00000000-0000-0000-0000-00000000000a", "b": b"\x00\xff", "a": [1, None], "t": False, "f": 0.5,
    }  # fmt: skip


def test_d13_a_killed_read_publishes_nothing_and_leaves_no_session_in_the_database(
    lab: Lab, orders: str, database: Database
) -> None:
    at_work = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND query LIKE '%pg_sleep%'"
    slow = jdbc("orders", query="SELECT id, pg_sleep(0.05)::text AS waited FROM orders")
    text = lab.pipeline(slow, sink("out", lab.named("out"), "append", repeat=True), flow="orders>out")
    here = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": f"{here.parents[1]}{os.pathsep}{here}"}
    words = [sys.executable, str(here / "lab.py"), str(lab.settings.home), str(lab.file("killed.json", text))]
    worker = subprocess.Popen(words, env=env)
    wait_for("the read", lambda: worker.poll() is not None or database.ask(at_work) == [(1,)])
    worker.kill()
    worker.wait()
    assert not lab.catalog.table_exists(lab.identifier("out"))
    wait_for("the end of the read", lambda: database.ask(at_work) == [(0,)])
    ran = lab.run(
        lab.pipeline(jdbc("orders", table=orders), sink("out", lab.named("out"), "overwrite"), flow="orders>out")
    )
    assert ran.success, ran.failures
    assert len(lab.rows("out")) == 1000


def test_a_run_of_one_partition_reads_its_rows_of_the_database_alone(lab: Lab, orders: str) -> None:
    query = (
        "SELECT id, at FROM orders WHERE at >= :partition_start AND at < :partition_end AND id % :every = 0 "
        "AND customer <> :nobody"
    )
    text = lab.pipeline(
        jdbc("orders", query=query, partition_column="id", partitions=2),
        sink("out", lab.named("out"), "overwrite_partitions"),
        flow="orders>out",
        partitions={"kind": "daily", "start": "2024-01-01", "column": "at"},
        parameters={
            "every": {"type": "integer", "default": 2},
            "nobody": {"type": "string", "default": "'; DROP TABLE orders; --"},
        },
    )
    ran = lab.run(text, partition="2024-01-03")
    assert ran.success, ran.failures
    assert lab.rows("out", "id") == [(number,) for number in range(48, 72, 2)]
    assert ran.tables["out"]["inputs"]["orders"]["rows"] == 12
