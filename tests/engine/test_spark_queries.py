"""Queries in Spark: the same tables, snapshots and limits as in DuckDB, and nothing goes on when one is stopped."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psutil
import pyarrow as pa
import pytest

from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.queries import asking
from drls_dagster.engine.queries.statement import read_statement
from drls_dagster.engine.session import is_closed, session
from drls_dagster.engine.state import read_state
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.reader.sql.execute import TooLong, TooMuch
from drls_dagster.lakehouse.reader.sql.workers import Worker, workers
from drls_dagster.lifecycle_client.gateway import connected_adapters
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.tables import QueryEngine, QueryRows, ReadLimits
from lifecycle.errors import Invalid, Unavailable
from tests.iceberg_tables import make_table
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
LIMITS = ReadLimits(rows=100, bytes=1_000_000, seconds=60, text=200)
ENDLESS = "SELECT sum(a.id * b.id) FROM range(100000000) a CROSS JOIN range(100000000) b"
NS = "spark_queries"
# What a description says of a function that reads files, runs code or tells of the server.
RISKY = re.compile(
    r"(?i)\b(?:files?|class|classes|avro|protobuf|xsd|catalog|database|logs|descriptor|reflection)\b|user name"
)
Ask = Callable[..., QueryRows]


@pytest.fixture
def ask(engine: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    monkeypatch.setenv("DRLS_HOME", str(engine.home))
    tables = connected_adapters(engine).tables
    load_catalog().create_namespace_if_not_exists(NS)

    def ask(sql: str, environment: Environment | None = None, ref: str | None = None, **changes: object) -> QueryRows:
        limits = LIMITS.model_copy(update=changes)
        return tables.query(sql, lambda _: None, environment, ref, limits, QueryEngine.SPARK)

    yield ask
    for name in load_catalog().list_tables(NS):
        load_catalog().drop_table(name)
    workers(asking.WORKER).close()


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Those that queries opened."""
    found: list[str] = []
    selecting = asking.Asking.ask

    def noted(self: asking.Asking, worker: Worker, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        if request["do"] == "select":
            found.append(request["session"])
        return selecting(self, worker, request, seconds)

    monkeypatch.setattr(asking.Asking, "ask", noted)
    return found


def test_a_query_answers_as_spark_does_at_the_snapshots_that_it_names(ask: Ask) -> None:
    table = make_table(f"{NS}.daily", {"x": [1, 2], "name": ["a", "b"]}, {"x": [3], "name": ["c" * 300]})
    make_table(f"{NS}.empty", pa.table({"x": pa.array([], pa.int64())}))
    first, second = (one.snapshot_id for one in table.metadata.snapshots)
    table.manage_snapshots().create_branch(first, "qa").commit()

    found = ask(f"SELECT name, x FROM {NS}.daily ORDER BY x DESC")
    assert [(one.name, one.type) for one in found.columns] == [("name", "string"), ("x", "long")]
    assert found.rows == (("c" * 200 + "… (300 characters)", 3), ("b", 2), ("a", 1))
    assert ([(one.name, one.snapshot) for one in found.read], found.values_cut) == ([(f"{NS}.daily", second)], 1)
    for rows in (
        ask(f"SELECT count(*) FROM {NS}.daily", ref="qa").rows,
        ask(f"SELECT count(*) FROM {NS}.daily", Environment.QA).rows,
    ):
        assert rows == ((2,),)
    joined = ask(
        f"WITH t AS (SELECT x FROM {NS}.daily) SELECT t.x, daily.x FROM t JOIN {NS}.daily USING (x) ORDER BY 1"
    )
    assert joined.rows == ((1, 1), (2, 2), (3, 3))
    assert ask(f"SELECT count(x), max(x) FROM {NS}.empty").rows == ((0, None),)
    assert ask("SELECT 1 AS a, 2 AS a").rows == ((1, 2),)
    assert ask(f"SELECT x FROM {NS}.daily WHERE false").rows == ()
    assert ask("SELECT timestamp'2026-01-31 12:00:00' AS t, 12.50BD AS d, array(1, 2) AS l").rows == (
        ("2026-01-31T12:00:00+00:00", "12.50", [1, 2]),
    )

    cut = ask("SELECT id FROM range(1000000)", rows=5)
    assert (cut.rows, cut.cut) == (((0,), (1,), (2,), (3,), (4,)), "the first 5 rows; there are more")
    assert "because more are over 2,000 bytes" in ask("SELECT repeat('x', 150) FROM range(1000)", bytes=2_000).cut
    for sql, said in (
        (f"SELECT nope FROM {NS}.daily", rf"nope.*{NS}.daily|nope"),
        ("SELECT raise_error('mine')", "mine"),
        (f"SELECT CAST(name AS INT) FROM {NS}.daily", "INT"),
    ):
        with pytest.raises(Invalid, match=said) as refused:
            ask(sql)
        assert "\n" not in refused.value.message
        assert "drls_" not in refused.value.message


def test_a_query_that_takes_too_long_is_stopped_in_spark(ask: Ask, engine: Settings, sessions: list[str]) -> None:
    with pytest.raises(TooLong, match="took longer than 2 seconds and was stopped"):
        ask(ENDLESS, seconds=2.0)
    wait_until(lambda: is_over(engine, sessions[-1]))
    assert ask("SELECT 1").rows == ((1,),)


def test_what_a_killed_process_began_in_spark_is_stopped(
    ask: Ask, engine: Settings, sessions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when it needs too much memory: another process stops what it began, and waits for Spark's word."""
    before = cpu_seconds(engine)

    def kill(worker: Worker) -> None:
        wait_until(lambda: cpu_seconds(engine) > before + 2)
        os.kill(worker._process.pid, signal.SIGKILL)

    killing: list[threading.Thread] = []
    waiting = Worker._answer

    def killed_meanwhile(worker: Worker, until: float) -> dict[str, Any]:
        if sessions and not killing:
            killing.append(threading.Thread(target=kill, args=(worker,)))
            killing[0].start()
        return waiting(worker, until)

    monkeypatch.setattr(Worker, "_answer", killed_meanwhile)
    with pytest.raises(TooMuch):
        ask(ENDLESS)
    killing[0].join()
    wait_until(lambda: is_over(engine, sessions[-1]))
    assert ask("SELECT 1").rows == ((1,),)


def test_where_no_engine_runs_with_these_settings_none_is_started(ask: Ask, engine: Settings) -> None:
    other = engine.model_copy(update={"engine": engine.engine.model_copy(update={"cores": engine.engine.cores + 1})})
    with pytest.raises(Unavailable, match="Spark is not running here"):
        connected_adapters(other).tables.query("SELECT 1", lambda _: None, None, None, LIMITS, QueryEngine.SPARK)


def test_every_function_of_this_spark_that_reads_files_or_runs_code_is_refused(engine: Settings) -> None:
    """A new version of Spark may have more of them: their own descriptions say so."""
    with session(engine) as opened:
        names = [row[0] for row in opened.spark.sql("SHOW SYSTEM FUNCTIONS").collect()]
        told = {
            name: [row[0] for row in opened.spark.sql(f"DESCRIBE FUNCTION EXTENDED `{name}`").collect()]
            for name in names
            if name.isidentifier()
        }
    assert len(told) > 400
    # Its class is Spark's own, of every function.
    risky = {name for name, lines in told.items() if any(RISKY.search(one) for one in lines if "Class:" not in one)}
    assert {"input_file_name", "java_method", "current_catalog"} <= risky
    assert [name for name in sorted(risky) if not refuses(f"SELECT {name}(1)")] == []


def refuses(sql: str) -> bool:
    try:
        read_statement(sql)
    except Invalid:
        return True
    return False


def is_over(engine: Settings, session_id: str) -> bool:
    state = read_state(engine)
    return state is not None and is_closed(engine, session_id, state.engine_id)


def cpu_seconds(engine: Settings) -> float:
    """What all processes of the engine have computed."""
    state = read_state(engine)
    assert state is not None
    seconds = 0.0
    for one in processes_of(state.engine_id):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(one.cpu_times()[:2])
    return seconds
