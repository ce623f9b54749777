"""SQL of strangers: it reads the tables it may, at pinned snapshots, and nothing else, within its limits."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.lakehouse.reader.sql.execute import TooLong, TooMuch
from drls_dagster.lakehouse.reader.sql.statement import read_statement
from drls_dagster.lakehouse.reader.sql.streams import TableStream
from drls_dagster.lakehouse.reader.sql.workers import workers
from lifecycle.domain.environment import Environment
from lifecycle.domain.tables import QueryRows, ReadLimits
from lifecycle.errors import Invalid, LifecycleError, NotFound
from tests.drls_dagster.lakehouse.reader.values import HARD, SHOWN, TYPES
from tests.iceberg_tables import make_table

Ask = Callable[..., QueryRows]

# Each is refused before anything runs: what it would do is not among the things that a query may say.
REFUSED = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_parquet('s3://bucket/key')",
    "SELECT * FROM read_json('https://example.org/x.json')",
    "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM '/tmp/x.parquet'",
    'SELECT * FROM "/etc/passwd"',
    "SELECT * FROM glob('/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM flights.daily, read_text('/etc/passwd')",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "WITH a AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM a",
    "SELECT * FROM flights.daily WHERE x IN (SELECT size FROM read_blob('/etc/passwd'))",
    "SELECT /* */ * FROM /* flights.daily */ read_text /* */ ('/etc/passwd')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('flights.daily')",
    "FROM json_execute_serialized_sql('x')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pragma_table_info('x')",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM python_map_function(1)",
    "SELECT * FROM drls_table_0",
    "SELECT * FROM settings",
    "SELECT getenv('HOME')",
    "SELECT \"getenv\"('HOME')",
    "SELECT current_setting('temp_directory')",
    "SELECT getvariable('x')",
    "SELECT nextval('x')",
    "SELECT write_log('x')",
    "SELECT sleep_ms(100000)",
    "SELECT which_secret('s3://x', 's3')",
    "COPY (SELECT 1) TO '/tmp/out.csv'",
    "COPY flights.daily TO '/tmp/out.csv'",
    "ATTACH '/tmp/other.db' AS other",
    "DETACH other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "SET memory_limit = '100GB'",
    "RESET lock_configuration",
    "USE other",
    "CALL pragma_version()",
    "EXPORT DATABASE '/tmp/x'",
    "IMPORT DATABASE '/tmp/x'",
    "CREATE TABLE t AS SELECT 1",
    "CREATE MACRO m() AS 1",
    "INSERT INTO flights.daily VALUES (1)",
    "UPDATE flights.daily SET x = 1",
    "DELETE FROM flights.daily",
    "MERGE INTO flights.daily USING flights.daily b ON true WHEN MATCHED THEN DELETE",
    "DROP TABLE flights.daily",
    "ALTER TABLE flights.daily ADD COLUMN y INT",
    "TRUNCATE flights.daily",
    "VACUUM",
    "CHECKPOINT",
    "BEGIN",
    "EXPLAIN ANALYZE SELECT 1",
    "DESCRIBE flights.daily",
    "SHOW TABLES",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY (SELECT 1) TO '/tmp/x'",
    "SELECT 1 -- \n; DROP TABLE flights.daily",
    "SELECT * INTO other FROM flights.daily",
    "SELECT $1",
    "SELECT ?",
    "SELECT * FROM flights.daily AT (VERSION => 1)",
    "",
    ";",
    "-- nothing",
    "SELECT",
    "not sql at all",
    "SELECT " + "(" * 3_000 + "1" + ")" * 3_000,
    "SELECT " + "1 + " * 40_000 + "1",
    "SELECT '" + "x" * 100_001 + "'",
]
# Each is a query, and stopped by its limits.
ENDLESS = [
    ("SELECT count(*) FROM range(1000000000) a, range(1000000000) b", TooLong),
    ("SELECT repeat('a', 3000000000)", TooMuch),
    *(
        pytest.param(*one, marks=pytest.mark.slow)
        for one in (
            ("SELECT count(*) FROM flights.daily a, range(1000000000) b, range(1000000000) c", TooLong),
            ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r", TooLong),
            ("SELECT length(repeat('a', 2000000000) || repeat('b', 2000000000))", TooMuch),
            ("SELECT list(a.range) FROM range(2000000000) a", LifecycleError),
            ("SELECT string_agg(repeat('x', 1000000), '') FROM range(20000)", TooMuch),
        )
    ),
]
ANSWERS: list[tuple[str, list[list[object]]]] = [
    ("SELECT flights.daily.x FROM flights.daily ORDER BY ALL", [[1], [2], [3]]),
    ("SELECT d.x, daily.x FROM flights.daily d JOIN flights.daily USING (x) ORDER BY 1", [[1, 1], [2, 2], [3, 3]]),
    ("FROM flights.daily SELECT sum(x)", [["6"]]),
    ("SELECT count(*) FROM flights.daily", [[3]]),
    ("SELECT X, NAME FROM flights.daily WHERE X >= 2 AND name < 'c'", [[2, "b"]]),
    ("SELECT max(n) FROM (SELECT count(*) n FROM flights.daily GROUP BY x > 1)", [[2]]),
    ("SELECT a.x FROM flights.daily a LEFT JOIN flights.daily b ON a.x = b.x + 1 WHERE b.x IS NULL", [[1]]),
    ("SELECT daily FROM flights.daily WHERE x = 1", [[{"x": 1, "name": "a"}]]),
    ("SELECT COLUMNS('na.*') FROM flights.daily WHERE x = 3", [["c"]]),
    ("SELECT * EXCLUDE (name) FROM flights.daily WHERE x BETWEEN 2 AND 9 ORDER BY x", [[2], [3]]),
    ("SELECT x, row_number() OVER (ORDER BY x DESC) r FROM flights.daily QUALIFY r = 1", [[3, 1]]),
    ("WITH t AS MATERIALIZED (SELECT * FROM flights.daily) SELECT count(*) FROM t a, t b", [[9]]),
    ("SELECT list(x ORDER BY x) FROM flights.daily", [[[1, 2, 3]]]),
    ("SELECT 1 AS a, 2 AS a", [[1, 2]]),
    ("SELECT x FROM flights.daily WHERE x NOT IN (1, 2)", [[3]]),
    ("SELECT x + 1 AS x FROM flights.daily WHERE x > 2", [[4]]),
    ("(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1", [[1], [2]]),
    ("SELECT * FROM (VALUES (1, 'a')) v(n, t)", [[1, "a"]]),
    ("SELECT sum(range) FROM range(5)", [["10"]]),
]


@pytest.fixture
def ask(tables: IcebergTables, limits: ReadLimits) -> Ask:
    make_table("flights.daily", {"x": [1, 2], "name": ["a", "b"]}, {"x": [3], "name": ["c"]})

    def ask(sql: str, environment: Environment | None = None, ref: str | None = None, **changes: object) -> QueryRows:
        return tables.query(sql, lambda _: None, environment, ref, limits.model_copy(update=changes))

    return ask


def test_what_is_no_query_over_tables_is_refused_in_a_line(ask: Ask) -> None:
    assert len(REFUSED) >= 40
    for sql in REFUSED:
        with pytest.raises(Invalid) as refused:
            ask(sql)
        assert "\n" not in refused.value.message, sql[:80]
        assert len(refused.value.message) < 300, sql[:80]
    assert ask("SELECT count(*) FROM flights.daily").rows == ((3,),)


def test_tables_of_the_database_itself_are_not_there(ask: Ask) -> None:
    for name in (
        "information_schema.tables",
        "pg_catalog.pg_class",
        "main.duckdb_tables",
        "system.main.duckdb_settings",
    ):
        with pytest.raises(NotFound, match="there is no table"):
            ask(f"SELECT * FROM {name}")


@pytest.mark.parametrize(("sql", "error"), ENDLESS, ids=lambda one: str(one)[:40])
def test_an_endless_query_ends_and_the_next_one_is_answered(sql: str, error: type[Exception], ask: Ask) -> None:
    with pytest.raises(error) as stopped:
        ask(sql, seconds=30.0 if error is TooMuch else 2.0)
    assert "\n" not in str(stopped.value)
    assert ask("SELECT count(*) FROM flights.daily").rows == ((3,),)


def test_what_a_query_says_of_files_stays_text(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("secret\n")
    assert ask(f"SELECT '{tmp_path}/secret.csv' AS path").rows == ((f"{tmp_path}/secret.csv",),)


def test_every_table_is_asked_for_before_one_is_looked_for(tables: IcebergTables, limits: ReadLimits) -> None:
    asked: list[str] = []

    def may(name: str) -> None:
        asked.append(name)
        if name == "private.t":
            raise NotFound("no")

    sql = """
        WITH private AS (SELECT 1 AS t), daily AS (SELECT * FROM flights.daily)
        SELECT *, (SELECT max(x) FROM "quoted ns"."a.b") FROM daily JOIN private ON true
        WHERE x IN (SELECT x FROM private.t) AND EXISTS (SELECT 1 FROM a.b.c) -- FROM hidden.in_a_comment
    """
    with pytest.raises(NotFound, match="no"):
        tables.query(sql, may, None, None, limits)
    assert set(read_statement(sql).tables) == {"flights.daily", 'quoted ns."a.b"', "private.t", "a.b.c"}
    assert asked[-1] == "private.t"


def test_a_name_without_a_namespace_is_a_table_expression_or_nothing(ask: Ask) -> None:
    assert ask("WITH daily AS (SELECT 7 AS x) SELECT x FROM daily").rows == ((7,),)
    assert ask("WITH daily AS (SELECT 7 AS x) SELECT x FROM flights.daily ORDER BY x").rows == ((1,), (2,), (3,))
    for sql in (
        "SELECT * FROM daily",
        "SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a), a",
        "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a",
    ):
        with pytest.raises(Invalid, match=r"is not the name of a table; write namespace\.table"):
            ask(sql)


def test_a_query_answers_as_duckdb_does(ask: Ask) -> None:
    for sql, rows in ANSWERS:
        assert [list(row) for row in ask(sql).rows] == rows, sql


def test_values_are_shown_as_they_are(tables: IcebergTables, limits: ReadLimits) -> None:
    make_table("lab.hard", HARD)
    found = tables.query("SELECT * FROM lab.hard", lambda _: None, None, None, limits)
    assert [one.type for one in found.columns] == TYPES
    assert [list(row) for row in found.rows] == SHOWN
    assert math.copysign(1, found.rows[1][1]) == -1


def test_a_query_says_which_snapshots_it_read(ask: Ask, tables: IcebergTables) -> None:
    table = load_catalog().load_table("flights.daily")
    first, second = (one.snapshot_id for one in table.metadata.snapshots)
    table.manage_snapshots().create_branch(first, "qa").commit()
    assert [(one.name, one.snapshot) for one in ask("SELECT 1 FROM flights.daily").read] == [("flights.daily", second)]
    for found in (
        ask("SELECT count(*) FROM flights.daily", ref="qa"),
        ask("SELECT count(*) FROM flights.daily", Environment.QA),
    ):
        assert (found.rows, found.read[0].snapshot) == (((2,),), first)
    make_table("flights__development.daily", {"x": [7]})
    found = ask("SELECT x, daily.x FROM flights.daily", Environment.DEVELOPMENT)
    assert (found.rows, found.read[0].name) == (((7, 7),), "flights__development.daily")
    with pytest.raises(NotFound, match="has no ref 'nope'"):
        ask("SELECT 1 FROM flights.daily", ref="nope")
    make_table("lab.empty", pa.table({"x": pa.array([], pa.int64())}))
    found = ask("SELECT count(x) FROM lab.empty")
    assert (found.rows, found.read[0].snapshot) == (((0,),), None)


def test_rows_and_bytes_are_limited_and_it_is_said(ask: Ask) -> None:
    found = ask("SELECT * FROM range(1000000000)", rows=5)
    assert (len(found.rows), found.cut) == (5, "the first 5 rows; there are more")
    found = ask("SELECT repeat('x', 150) FROM range(1000)", bytes=2_000)
    assert 5 < len(found.rows) < 20
    assert "because more are over 2,000 bytes" in found.cut
    assert ask("SELECT * FROM range(5)", rows=5).cut == ""
    found = ask("SELECT repeat('x', 5000)")
    assert (found.rows[0][0], found.values_cut) == ("x" * 200 + "… (5,000 characters)", 1)


def test_what_is_wrong_with_a_query_is_said_in_a_line(ask: Ask) -> None:
    for sql, said in (
        ("SELECT nope FROM flights.daily", 'column "nope" not found'),
        ("SELECT x + name FROM flights.daily", "."),
        ("SELECT error('mine') FROM flights.daily", "mine"),
        ("SELECT CAST(name AS INT) FROM flights.daily", "Could not convert"),
        ("SELECT error('late') FROM range(100000) WHERE range > 90000", "late"),
        ("SELEC x FROM flights.daily", "does not parse"),
    ):
        with pytest.raises(Invalid, match=said) as refused:
            ask(sql)
        assert "\n" not in refused.value.message
        assert "drls_table" not in refused.value.message


def test_files_that_cannot_have_a_row_are_not_read(tables: IcebergTables) -> None:
    table = make_table("lab.parts", *[{"n": [part, part], "f": [float(part)] * 2} for part in range(5)])
    counted: dict[str, int] = {}
    for where in (
        "n = 3", "n > 3", "3 < n", "n BETWEEN 1 AND 2", "n IN (0, 4) AND true", "n IS NULL", "n = 3 OR n = 4",
        "f > 3", "n + 0 = 3", "p.n = 3", "other.n = 3", "n = '3'",
    ):  # fmt: skip
        (reference,) = read_statement(f"SELECT n FROM lab.parts AS p WHERE {where}").references
        stream = TableStream(
            table, table.metadata.current_snapshot_id, table.schema(), reference.columns, reference.conditions
        )
        list(stream._batches())
        counted[where] = stream.files
    assert counted == {
        "n = 3": 1, "n > 3": 1, "3 < n": 1, "n BETWEEN 1 AND 2": 2, "n IN (0, 4) AND true": 2, "n IS NULL": 0,
        "n = 3 OR n = 4": 5, "f > 3": 5, "n + 0 = 3": 5, "p.n = 3": 1, "other.n = 3": 5, "n = '3'": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "pushed"),
    [
        ("SELECT 1 FROM lab.a JOIN lab.b USING (k) WHERE a.x = 1", {"lab.a": 1, "lab.b": 0}),
        ("SELECT 1 FROM lab.a JOIN lab.b USING (k) WHERE x = 1", {"lab.a": 0, "lab.b": 0}),
        ("SELECT 1 FROM lab.a LEFT JOIN lab.b USING (k) WHERE b.x IS NULL AND a.x = 1", {"lab.a": 1, "lab.b": 0}),
        ("SELECT 1 FROM lab.a RIGHT JOIN lab.b USING (k) WHERE a.x = 1", {"lab.a": 0, "lab.b": 0}),
        ("SELECT 1 FROM lab.a FULL JOIN lab.b USING (k) WHERE a.x = 1", {"lab.a": 0, "lab.b": 0}),
        ("SELECT 1 FROM lab.a TABLESAMPLE 10% WHERE a.x = 1", {"lab.a": 0}),
        ("SELECT x + 1 AS x FROM lab.a WHERE x = 1", {"lab.a": 0}),
        ("SELECT 1 FROM lab.a WHERE NOT (x = 1)", {"lab.a": 0}),
        ("SELECT 1 FROM lab.a WHERE (x = 1 AND (y = 2))", {"lab.a": 2}),
    ],
)
def test_only_conditions_that_lose_no_row_reach_the_files(sql: str, pushed: dict[str, int]) -> None:
    assert {one.name: len(one.conditions) for one in read_statement(sql).references} == pushed


def test_only_columns_that_are_named_are_read() -> None:
    def columns(sql: str) -> frozenset[str] | None:
        return read_statement(sql).references[0].columns

    assert "y" not in (columns("SELECT x FROM lab.a") or {"y"})
    assert {"x", "y"} <= (columns("SELECT X FROM lab.a WHERE Y > 1") or set())
    for sql in (
        "SELECT * FROM lab.a", "SELECT a.* FROM lab.a", "SELECT a FROM lab.a", "SELECT COLUMNS(*) FROM lab.a",
        "SELECT 1 FROM lab.a NATURAL JOIN lab.b", "SELECT #1 FROM lab.a",
    ):  # fmt: skip
        assert columns(sql) is None, sql


@pytest.mark.slow
def test_a_query_process_is_used_again_and_one_that_died_is_replaced(ask: Ask) -> None:
    def pid() -> int:
        (worker,) = workers()._idle
        return worker._process.pid

    ask("SELECT 1")
    workers().close()
    # Not the same: its answer is kept.
    ask("SELECT 2")
    first = pid()
    ask("SELECT count(*) FROM flights.daily")
    with pytest.raises(Invalid):
        ask("SELECT nope FROM flights.daily")
    assert pid() == first
    os.kill(first, 9)
    workers()._idle[0]._process.wait()
    assert ask("SELECT count(*) AS again FROM flights.daily").rows == ((3,),)
    assert pid() != first
