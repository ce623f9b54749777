"""SQL that people have becomes a pipeline that validates."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from lifecycle.spec import SpecError, parse_pipeline
from lifecycle.spec.from_sql import draft_from_sql

QUERIES = (
    "SELECT * FROM sales.orders",
    "select id, amount from lake.sales.orders where amount > 0;",
    "SELECT o.id, c.name FROM sales.orders o JOIN sales.customers c ON o.customer = c.id",
    "SELECT orders.id, customers.name FROM sales.orders JOIN sales.customers ON orders.customer = customers.id",
    "SELECT sales.orders.id FROM sales.orders",
    "SELECT lake.sales.orders.id, `lake`.`sales`.`orders`.`amount` FROM `lake`.`sales`.`orders`",
    "WITH big AS (SELECT * FROM sales.orders WHERE amount > 10) SELECT customer, count(*) AS n FROM big GROUP BY 1",
    "WITH orders AS (SELECT * FROM sales.orders) SELECT * FROM orders",
    "WITH a AS (SELECT * FROM x.t), b AS (SELECT * FROM a) SELECT b.* FROM b JOIN y.t AS t2 ON b.id = t2.id",
    "SELECT * FROM x.t UNION ALL SELECT * FROM y.t",
    "SELECT a.id FROM x.t a, y.t b WHERE a.id = b.id",
    "(SELECT id FROM x.t) EXCEPT (SELECT id FROM y.u)",
    "SELECT id, (SELECT max(day) FROM cal.days) AS newest FROM x.t WHERE id IN (SELECT id FROM y.u)",
    "SELECT * FROM x.t WHERE EXISTS (SELECT 1 FROM y.u WHERE u.id = t.id)",
    "SELECT id, row_number() OVER (PARTITION BY k ORDER BY at DESC) AS rank FROM x.t",
    "SELECT explode(items) AS item FROM x.t",
    "SELECT t.id, item FROM x.t LATERAL VIEW explode(items) e AS item",
    "SELECT id FROM x.t TABLESAMPLE (10 PERCENT)",
    "SELECT id FROM x.`order`",
    "SELECT id FROM x.sales_2024",
    "SELECT id FROM orders",
    "SELECT id FROM x.query JOIN y.result USING (id)",
    "SELECT /*+ BROADCAST(d) */ f.id FROM x.facts f JOIN x.dims d ON f.d = d.id",
    "SELECT id -- FROM y.commented\nFROM x.t /* FROM z.commented */ WHERE note = 'FROM q.quoted'",
    "SELECT id, amount FROM x.t WHERE day = :day AND region = :region",
    "CREATE TABLE sales.big AS SELECT * FROM sales.orders WHERE amount > 10",
    "CREATE OR REPLACE TABLE lake.sales.big USING iceberg PARTITIONED BY (days(at)) AS SELECT * FROM sales.orders",
    "CREATE TABLE IF NOT EXISTS sales.big AS WITH q AS (SELECT * FROM x.t) SELECT * FROM q",
    "CREATE VIEW sales.latest AS (SELECT id, max(at) AS at FROM x.t GROUP BY id)",
    "INSERT INTO sales.log SELECT * FROM sales.orders",
    "INSERT INTO TABLE sales.log (id, amount) SELECT id, amount FROM sales.orders",
    "INSERT OVERWRITE TABLE sales.copy SELECT * FROM sales.orders",
    "INSERT OVERWRITE sales.copy PARTITION (day) SELECT id, day FROM sales.orders",
    "SELECT CASE WHEN a > 1 THEN 'x' ELSE 'y' END AS kind, cast(b AS decimal(10, 2)) AS b FROM x.t",
    "SELECT größe FROM x.t WHERE name = 'Zürich – FROM y.u'",
)


def of(sql: str, **how: Any) -> dict[str, Any]:
    return draft_from_sql(sql, **how).definition


@pytest.mark.parametrize("sql", QUERIES)
def test_a_query_becomes_a_pipeline_that_validates(sql: str) -> None:
    spec = parse_pipeline(yaml.safe_dump(of(sql, name="draft"), allow_unicode=True))
    (sink,) = spec.sinks
    assert spec.upstream(sink.id)
    assert all("commented" not in one.id and "quoted" not in one.id for one in spec.sources)


def test_the_text_of_the_query_is_kept_but_for_the_names_of_tables() -> None:
    made = of("SELECT  o.id  -- keep\nFROM sales.orders o\nJOIN lake.sales.items i ON o.id=i.id")
    assert made["nodes"][2]["sql"] == "SELECT  o.id  -- keep\nFROM orders o\nJOIN items i ON o.id=i.id"
    assert [one["source"]["table"] for one in made["nodes"][:2]] == ["sales.orders", "sales.items"]


def test_two_tables_of_one_name_keep_apart_and_columns_find_theirs() -> None:
    made = of("SELECT t.id FROM x.t UNION ALL SELECT t.id FROM y.t")
    assert made["nodes"][2]["sql"] == "SELECT t.id FROM t UNION ALL SELECT t.id FROM t_2 AS t"


def test_the_statement_says_where_the_result_goes() -> None:
    made = of("CREATE OR REPLACE TABLE lake.sales.big AS SELECT * FROM x.t")
    assert (made["name"], made["nodes"][-1]["table"], made["nodes"][-1]["mode"]) == ("big", "sales.big", "overwrite")
    added = draft_from_sql("INSERT INTO sales.log SELECT * FROM x.t")
    assert (added.definition["nodes"][-1]["mode"], added.definition["nodes"][-1]["repeat"]) == ("append", True)
    assert "repeats its rows" in added.notes[0]
    assert of("SELECT * FROM x.t", table="sales.out")["nodes"][-1]["table"] == "sales.out"
    guessed = draft_from_sql("SELECT count(*) FROM t")
    assert guessed.notes == (
        "default.t: name the namespace of this table",
        "the SQL names no target table: default.result is a guess",
        "column 1 of the result has no name: write … AS name",
    )


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("", "the SQL is empty"),
        ("DROP TABLE x.t", "DROP is neither a query"),
        ("MERGE INTO a.b USING c.d ON 1 = 1 WHEN MATCHED THEN DELETE", "set mode: merge and keys"),
        ("CREATE TABLE x.t (id INT)", "makes an empty table"),
        ("INSERT INTO x.t VALUES (1)", "neither"),
        ("SELECT 1; DROP TABLE x.t", "several statements"),
        ("CREATE TABLE a.b AS SELECT 1; DROP TABLE x.t", "several statements"),
        ("SELECT 'open", "cannot be read"),
        ("SELECT ${x} FROM a.b", "Spark replaces by settings"),
        ("(" * 5_000, "nested too deeply"),
        ("SELECT " + "1," * 60_000 + "1", "longer than"),
    ],
)
def test_other_sql_is_refused_with_what_to_do(sql: str, said: str) -> None:
    if sql.startswith("INSERT INTO x.t VALUES"):
        assert of(sql)["nodes"][0]["sql"] == "VALUES (1)"
        return
    with pytest.raises(SpecError, match=said) as raised:
        draft_from_sql(sql)
    assert raised.value.problems[0].remedy
