"""What reaches a database: one SELECT, whatever a pipeline's query says."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from drls_dagster.connections.databases import DATABASES, MYSQL, POSTGRESQL
from drls_dagster.connections.opened import OpenedConnection
from drls_dagster.steps.sources.jdbc.statements import selected
from drls_dagster.steps.sources.jdbc.words import told
from drls_dagster.steps.sources.pins import SourceUnreadable
from drls_dagster.steps.window import Bound
from lifecycle.spec import parse_pipeline

HOSTILE = [
    "SELECT 1) q; DROP TABLE orders; --",
    "SELECT 1; DELETE FROM orders",
    "DROP TABLE orders",
    "DELETE FROM orders",
    "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
    "WITH n AS (INSERT INTO orders VALUES (1) RETURNING *) SELECT * FROM n",
    "SELECT * INTO copied FROM orders",
    "SELECT * FROM orders FOR UPDATE",
    "COPY orders TO PROGRAM 'sh'",
    "SET ROLE postgres",
    "EXPLAIN ANALYZE DELETE FROM orders",
    "CALL make_rows()",
    "DO $$ BEGIN DELETE FROM orders; END $$",
    "",
    ";",
    "-- nothing",
]


@pytest.mark.parametrize("query", HOSTILE)
@pytest.mark.parametrize("database", [*DATABASES.values(), None], ids=lambda one: one.name if one else "other")
def test_a_query_that_is_not_one_select_is_refused_by_node(query: str, database: object) -> None:
    with pytest.raises(SourceUnreadable, match=r"^node 'n': the query "):
        selected("n", None, query, database)  # pyright: ignore[reportArgumentType]


def test_the_names_of_functions_stay_as_they_are_written() -> None:
    assert selected("n", None, "SELECT dbo.countOf(a) AS n FROM t", DATABASES["sqlserver"]).count("countOf(a)") == 1


def test_what_a_database_would_run_in_a_comment_does_not_reach_it() -> None:
    text = selected("n", None, "SELECT 1 /*! UNION SELECT password FROM users */ AS a", MYSQL)
    assert text == "(SELECT 1 AS a) drls_source"
    assert selected("n", None, "SELECT 1 -- ) q; DROP TABLE t", POSTGRESQL) == "(SELECT 1) drls_source"


def test_text_is_written_so_that_it_ends_where_the_parser_saw_its_end() -> None:
    query = r"SELECT '\'' AS a, ') x; DROP TABLE t; --' AS b"
    assert selected("n", None, query.replace(r"\'", "''"), POSTGRESQL).count("''''") == 1
    try:
        text = selected("n", None, query, POSTGRESQL)
    except SourceUnreadable:
        return  # to PostgreSQL the first text ends at the second quote, and the rest is no SELECT
    raise AssertionError(text)


@pytest.mark.parametrize("query", ["SELECT 1; ", "SELECT 1 -- a", "SELECT 1 /* a */", "SELECT 1 # a"])
def test_a_query_for_a_driver_that_drls_does_not_know_ends_nowhere_early(query: str) -> None:
    with pytest.raises(SourceUnreadable):
        selected("n", None, query, None)
    assert selected("n", None, "SELECT a FROM t", None) == "(SELECT a FROM t) drls_source"


def test_an_error_is_told_in_words_and_without_the_password() -> None:
    connection = OpenedConnection(
        name="shop", driver="postgresql", driver_class="x", url="u", user="r", password="kanarienvogel", options={},
        fetch_size=1, fingerprint="f",
    )  # fmt: skip
    assert "kanarienvogel" not in repr(connection)
    said = {
        'FATAL: password authentication failed for user "r"': "it refuses the user or the password; correct",
        'ERROR: relation "public.gone" does not exist\n  Position: 15': "there is no table public.gone; correct",
        "ERROR: permission denied for table orders": "the user may not read orders; grant",
        "ERROR: cannot execute INSERT in a read-only transaction": "the query would change something (INSERT)",
        "[UNRECOGNIZED_SQL_TYPE] Unrecognized SQL type - name: point, id: 1111. SQLSTATE: 42704": "has the type point",
        "something odd with kanarienvogel": "something odd with …",
    }
    for text, words in said.items():
        assert words in told(RuntimeError(text), connection)


VALUES = {
    "day": date(2024, 1, 14),
    "hour": datetime(2024, 1, 14, 5, tzinfo=UTC),
    "who": "a\\' OR 1=1; -- '",
    "least": 3,
}
WITH_VALUES = {
    "postgresql": r"d >= CAST('2024-01-14' AS DATE) AND h < CAST('2024-01-14 05:00:00.000000' AS TIMESTAMP) AND "
    r"w = 'a\'' OR 1=1; -- ''' AND n > 3",
    "mysql": r"d >= CAST('2024-01-14' AS DATE) AND h < CAST('2024-01-14 05:00:00.000000' AS DATETIME) AND "
    r"w = 'a\\'' OR 1=1; -- ''' AND n > 3",
    "sqlserver": r"d >= CAST('2024-01-14' AS DATE) AND h < CAST('2024-01-14 05:00:00.000000' AS DATETIME2) AND "
    r"w = 'a\'' OR 1=1; -- ''' AND n > 3",
    "oracle": r"d >= TO_DATE('2024-01-14', 'YYYY-MM-DD') AND h < TO_TIMESTAMP('2024-01-14 05:00:00.000000', "
    r"'YYYY-MM-DD HH24:MI:SS.FF6') AND w = 'a\'' OR 1=1; -- ''' AND n > 3",
}


@pytest.mark.parametrize("name", DATABASES)
def test_values_of_a_run_are_literals_of_the_database_whatever_they_are(name: str) -> None:
    query = "SELECT x FROM t WHERE d >= :day AND h < :hour AND w = :who AND n > :least"
    text = selected("n", None, query, DATABASES[name], VALUES)
    assert text == f"(SELECT x FROM t WHERE {WITH_VALUES[name]}) drls_source"
    assert selected("n", None, query, DATABASES[name])  # when it is pinned, without values


def test_a_query_says_which_value_it_has_not() -> None:
    with pytest.raises(SourceUnreadable, match=r"no value for :partition_start; run one of the pipeline's partitions"):
        selected("n", None, "SELECT 1 WHERE a > :partition_start", POSTGRESQL, {})
    start = {"partition_start": Bound(datetime(2024, 1, 14, tzinfo=ZoneInfo("America/New_York")))}
    with pytest.raises(SourceUnreadable, match="set their timezone to UTC"):
        selected("n", None, "SELECT 1 WHERE a > :partition_start", POSTGRESQL, start)
    with pytest.raises(SourceUnreadable, match="write their values"):
        selected("n", None, "SELECT a FROM t WHERE a > :x", None, {"x": 1})


def test_d2_a_recipe_has_the_parameters_that_a_query_names() -> None:
    spec = parse_pipeline(
        """
format_version: 1
name: p
parameters: {least: {type: integer, default: 1}, other: {type: integer, default: 1}}
nodes:
- {id: a, type: source, source: {kind: jdbc, connection: c, query: "SELECT x::text FROM t WHERE n > :least"}}
- {id: b, type: sink, table: n.t, mode: overwrite}
edges: [{from: a, to: b}]
"""
    )
    assert spec.used_parameters("a") == ("least",)
