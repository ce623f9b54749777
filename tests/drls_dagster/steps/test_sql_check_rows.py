"""From a SQL check to the query for the rows behind its boolean, or for the numbers that it compares."""

from __future__ import annotations

import pytest

from drls_dagster.steps.sql_check_rows import query_behind

COUNTED = [
    ("SELECT count(*) = 0 FROM t WHERE x < 0", "SELECT * FROM t WHERE x < 0"),
    ("SELECT 0 = count(1) AS ok FROM t WHERE x < :low -- c", "SELECT * FROM t WHERE x < :low"),
    ("SELECT count(*) < 1 FROM t WHERE x", "SELECT * FROM t WHERE x"),
    ("SELECT count(x) = 0 FROM t", "SELECT * FROM t WHERE NOT x IS NULL"),
    ("SELECT count_if(x < 0) = 0 FROM t WHERE y", "SELECT * FROM t WHERE y AND x < 0"),
    ("SELECT bool_and(x > 0) FROM t", "SELECT * FROM t WHERE NOT x > 0"),
    ("SELECT every(x > 0 OR y) FROM t", "SELECT * FROM t WHERE NOT (x > 0 OR y)"),
    ("SELECT (SELECT count(*) FROM t WHERE a > 1) = 0", "SELECT * FROM t WHERE a > 1"),
    ("SELECT NOT EXISTS (SELECT 1 FROM t WHERE x IS NULL)", "SELECT * FROM t WHERE x IS NULL"),
    (
        "WITH b AS (SELECT * FROM t WHERE x = 1) SELECT count(*) = 0 FROM b",
        "WITH b AS (SELECT * FROM t WHERE x = 1) SELECT * FROM b",
    ),
    (
        "WITH b AS (SELECT * FROM t) SELECT NOT EXISTS (SELECT id FROM b)",
        "WITH b AS (SELECT * FROM t) SELECT id FROM b",
    ),
]
COMPARED = [
    ("SELECT sum(a) = sum(b) FROM t", "SELECT SUM(a) AS `sum(a)`, SUM(b) AS `sum(b)` FROM t"),
    ("SELECT count(*) > 10 AND NOT max(x) < 5 FROM t", "SELECT COUNT(*) AS `count(*)`, MAX(x) AS `max(x)` FROM t"),
    ("SELECT avg(x) BETWEEN 1 AND 2 FROM t", "SELECT AVG(x) AS `avg(x)` FROM t"),
    ("SELECT count(*) = 0 FROM t GROUP BY x", "SELECT COUNT(*) AS `count(*)` FROM t GROUP BY x"),
    ("SELECT count(DISTINCT a) = 0 FROM t", "SELECT COUNT(DISTINCT a) AS `count(DISTINCT a)` FROM t"),
]


@pytest.mark.parametrize(("sql", "rows"), [*COUNTED, *COMPARED])
def test_the_rows_or_numbers_behind_a_check_have_a_query(sql: str, rows: str) -> None:
    assert query_behind(sql) == rows


@pytest.mark.parametrize(
    "sql", ["SELECT true", "SELECT x FROM t", "SELECT a, b FROM t", "no SQL", "SELECT 1 UNION SELECT 2"]
)
def test_a_boolean_that_says_nothing_more_has_none(sql: str) -> None:
    assert query_behind(sql) is None
