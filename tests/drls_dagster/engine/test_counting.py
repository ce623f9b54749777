"""What of SQL makes the number of rows that Spark counts another than that of the rows there are."""

from __future__ import annotations

import pytest

from drls_dagster.engine.counting import _has_limit, _has_order


@pytest.mark.parametrize(
    ("sql", "limit", "order"),
    [
        ("SELECT * FROM c", False, False),
        ("SELECT 'LIMIT 1 ORDER BY 1' AS `limit` FROM c -- LIMIT ORDER BY", False, False),
        ("SELECT * FROM (SELECT * FROM c limit 5)", True, False),
        ("SELECT * FROM c TABLESAMPLE (5 ROWS)", True, False),
        ("SELECT * FROM c TABLESAMPLE (10 PERCENT)", False, False),
        ("SELECT * FROM c ORDER\n  BY id", False, True),
        ("WITH a AS (SELECT * FROM c ORDER BY id) SELECT * FROM a", False, True),
        ("SELECT /*+ REPARTITION_BY_RANGE(3, id) */ * FROM c", False, True),
        (
            "SELECT row_number() OVER (PARTITION BY a ORDER BY b), array_agg(x ORDER BY y) FROM c SORT BY a",
            False,
            False,
        ),
    ],
)
def test_limits_and_sorts_of_rows_are_found_and_those_of_windows_are_not(sql: str, limit: bool, order: bool) -> None:
    assert (_has_limit(sql), _has_order(sql)) == (limit, order)
