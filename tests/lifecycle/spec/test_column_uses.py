"""Which columns of a table a definition uses, and how that is said."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.spec import PipelineSpec
from lifecycle.spec.column_uses import Mention, column_uses, mentions

TABLE = "raw.flights"


@pytest.mark.parametrize(
    ("sql", "column", "named", "passed"),
    [
        ("SELECT * FROM raw", "x", False, True),
        ("SELECT a FROM raw WHERE X > 1", "x", True, False),
        ("WITH c AS (SELECT a FROM raw) SELECT * FROM c", "x", False, False),
        ("WITH c AS (SELECT * FROM raw) SELECT a FROM c", "x", False, False),
        ("WITH c AS (SELECT * FROM raw) SELECT a FROM c", "a", True, False),
        ("WITH c AS (SELECT * FROM raw) SELECT * FROM c UNION ALL SELECT 1", "x", False, True),
        ("SELECT r.y FROM raw r JOIN other o USING (k)", "k", True, False),
        ("SELECT o.x, r.y FROM raw r JOIN other o ON r.k = o.k", "x", False, False),
        ("SELECT o.* FROM raw r JOIN other o ON r.k = o.k", "x", False, False),
        ("SELECT r.* FROM raw r JOIN other o ON r.k = o.k", "x", False, True),
        ("SELECT a FROM raw NATURAL JOIN other", "x", True, False),
        ("SELECT * EXCEPT (x) FROM raw", "x", True, True),
        ("SELECT count(*) FROM raw", "x", False, False),
        ("SELECT r.address.city FROM raw r", "address", True, False),
        ("SELECT a FROM other WHERE EXISTS (SELECT 1 FROM raw r WHERE r.x = other.z)", "x", True, False),
        ("SELECT (SELECT max(o.z) FROM other o WHERE o.k = r.x) AS m FROM raw r", "x", True, False),
        ("SELECT a FROM raw ORDER BY x", "x", True, False),
        ("SELECT max(a) OVER (PARTITION BY x) AS m FROM raw", "x", True, False),
    ],
)
def test_what_a_query_does_with_a_column(sql: str, column: str, named: bool, passed: bool) -> None:
    assert mentions(sql, "raw", column) == Mention(named, passed)


def test_a_query_that_cannot_be_read_is_not_judged() -> None:
    assert mentions("SELECT FROM WHERE", "raw", "x") is None


def spec(step: dict[str, Any], **more: Any) -> PipelineSpec:
    """source raw → the step → sink marts.daily; `more` are further nodes, by id, below the node that they name."""
    nodes: list[dict[str, Any]] = [
        {"id": "raw", "type": "source", "source": {"kind": "iceberg", "table": TABLE}},
        {"id": "clean", "type": "transform", "step": "spark", **step},
        {"id": "out", "type": "sink", "table": "marts.daily", "mode": "overwrite", **more.pop("sink", {})},
    ]
    edges = [{"from": "raw", "to": "clean"}, {"from": "clean", "to": "out"}]
    for name, (above, node) in more.items():
        nodes.append({"id": name, **node})
        edges.append({"from": above, "to": name})
    return PipelineSpec.model_validate({"format_version": 1, "name": "daily", "nodes": nodes, "edges": edges})


def words(found: PipelineSpec, table: str, column: str) -> list[tuple[str, bool]]:
    return [(use.how, use.certain) for use in column_uses(found, table, column)]


def test_a_reader_uses_what_its_sql_names_and_what_a_star_carries_to_a_sink() -> None:
    named = spec({"sql": "SELECT day, delay FROM raw"})
    assert words(named, TABLE, "Delay") == [("reads it in node 'clean'", True)]
    assert words(named, TABLE, "carrier") == []
    star = spec({"sql": "SELECT * FROM raw"})
    assert words(star, TABLE, "carrier") == [("copies it into marts.daily", True)]
    assert words(star, "raw.other", "carrier") == []


def test_python_that_names_a_column_uses_it_and_other_python_may() -> None:
    python = "def transform(spark, raw):\n    return raw.filter('delay > 3')\n"
    found = spec({"python": python})
    assert words(found, TABLE, "delay") == [("names it in the Python of node 'clean'", True)]
    assert words(found, TABLE, "lay") == [("may read it in node 'clean', which is no SQL and cannot be traced", False)]


def test_checks_on_a_source_use_their_columns() -> None:
    check = {"kind": "not_null", "columns": ["carrier"]}
    found = spec({"sql": "SELECT day FROM raw"}, watch=("raw", {"type": "monitor", "checks": [check]}))
    assert words(found, TABLE, "carrier") == [("checks it in monitor 'watch'", True)]
    sql = {"kind": "sql", "sql": "SELECT min(delay) >= 0 FROM raw"}
    found = spec({"sql": "SELECT day FROM raw"}, watch=("raw", {"type": "monitor", "checks": [sql]}))
    assert words(found, TABLE, "delay") == [("checks it in monitor 'watch'", True)]


def test_a_writer_uses_what_it_selects_keys_and_layout() -> None:
    found = spec(
        {"sql": "SELECT day, count(*) AS n FROM raw GROUP BY day"},
        sink={"mode": "merge", "keys": ["day"], "partition_by": ["month(day)"]},
    )
    assert words(found, "marts.daily", "day") == [("writes by it in sink 'out'", True)]
    assert words(found, "marts.daily", "n") == [("writes it in sink 'out'", True)]
    assert words(found, "marts.daily", "left_by_an_old_version") == []


def test_a_writer_whose_columns_nobody_lists_may_write_any() -> None:
    found = spec({"sql": "SELECT * FROM raw"})
    ((how, certain),) = words(found, "marts.daily", "anything")
    assert (how, certain) == ("may write it in sink 'out', whose columns its definition does not list", False)
