"""What reaches a database: one SELECT, whatever a pipeline's query says."""

from __future__ import annotations

import pytest

from drls_dagster.connections.databases import DATABASES, MYSQL, POSTGRESQL
from drls_dagster.connections.opened import OpenedConnection
from drls_dagster.steps.sources.jdbc.statements import selected
from drls_dagster.steps.sources.jdbc.words import told
from drls_dagster.steps.sources.pins import SourceUnreadable

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
