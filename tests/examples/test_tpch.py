"""The TPC-H example at scale 0.01 says what DuckDB says of the same files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from compared import assert_same, expected, rows_of

from drls_dagster.launch.progress import RunOutcome
from drls_dagster.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "tpch"))
from generate import TABLES, generate

from lifecycle.domain.environment import Environment

PRICES = """
SELECT l_returnflag AS return_flag, l_linestatus AS line_status, sum(l_quantity) AS quantity,
       sum(l_extendedprice) AS base_price, sum(l_extendedprice * (1 - l_discount)) AS discounted_price,
       sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS charge,
       sum(l_quantity::double) / count(*) AS mean_quantity,
       sum(l_extendedprice::double) / count(*) AS mean_price,
       sum(l_discount::double) / count(*) AS mean_discount, count(*) AS lines
FROM lineitem WHERE l_shipdate <= DATE '1998-12-01' - INTERVAL 60 DAY GROUP BY ALL
"""
ORDERS = """
SELECT o_orderkey AS order_key, o_orderdate AS order_date, o_shippriority AS ship_priority,
       sum(l_extendedprice * (1 - l_discount)) AS revenue
FROM orders, lineitem, customer
WHERE l_orderkey = o_orderkey AND o_custkey = c_custkey AND c_mktsegment = 'MACHINERY'
  AND o_orderdate < DATE '1995-03-15' AND l_shipdate > DATE '1995-03-15'
GROUP BY ALL
"""
# 1 instalment below 10,000, 2 below 40,000, else 3; the first 30 days after receipt, others 30 days apart.
NATIONS = """
WITH line AS (
  SELECT r_name AS region, n_name AS nation, year(o_orderdate)::int AS order_year,
         (l_extendedprice * (1 - l_discount))::double AS price, l_receiptdate - o_orderdate AS days,
         CASE WHEN price < 10000 THEN 1 WHEN price < 40000 THEN 2 ELSE 3 END AS instalments
  FROM lineitem, orders, customer, supplier, nation, region
  WHERE l_orderkey = o_orderkey AND o_custkey = c_custkey AND l_suppkey = s_suppkey
    AND c_nationkey = s_nationkey AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey),
paid AS (
  SELECT *, list_sum(list_transform(
              range(1, instalments + 1),
              lambda k: price / instalments * exp(-0.06 * (days + 30 * k) / 365))) AS worth
  FROM line)
SELECT region, nation, order_year, count(*) AS lines, sum(price) AS revenue, sum(worth) AS present_value
FROM paid GROUP BY ALL
"""
EXPECTED = {
    "tpch.pricing_summary": (PRICES, ["return_flag", "line_status"]),
    "tpch.open_orders": (ORDERS, ["order_key"]),
    "tpch.nation_revenue": (NATIONS, ["nation", "order_year"]),
}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_table_equals_what_duckdb_computes(engine: Settings, run_example: Callable[..., RunOutcome]) -> None:
    folder = generate(Path(engine.landing_for(Environment.DEVELOPMENT)), 0.01)
    database = duckdb.connect()
    for name in TABLES:
        database.sql(f"CREATE VIEW {name} AS FROM '{folder / name}.parquet'")

    outcome = run_example("tpch/tpch_revenue.yaml", ship_days=60, segment="MACHINERY")

    for table, (sql, keys) in EXPECTED.items():
        wanted = expected(database, sql, keys)
        assert wanted
        assert_same(rows_of(engine, table, keys), wanted)
    assert len(outcome.checks) == 9
    assert all(check["passed"] for check in outcome.checks)
    assert {table["name"] for table in outcome.tables} == {name.replace(".", "__development.") for name in EXPECTED}
