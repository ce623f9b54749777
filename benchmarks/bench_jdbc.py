"""A table of a PostgreSQL read in parts and published, against plain Spark that reads the same parts into a table.

Both sides work on the same warm engine. Ours goes through Dagster, stages the rows once per run, publishes, and keeps
lineage and receipts; the plain side reads the database for each table that it writes.
"""

from __future__ import annotations

from typing import Any

import psycopg2
from pyspark.sql.connect.session import SparkSession

from benchmarks.lab import Lab, in_turn, seconds
from benchmarks.launched import launched, overwriting, written
from benchmarks.report import Line, Side, at_least
from drls_dagster.connections.databases import POSTGRESQL
from drls_dagster.engine.session import session
from drls_dagster.lakehouse.catalog import load_catalog
from tests.postgres_server import running_postgres

PARTS = 4
SHARE = 0.9
PASSWORD = "the benchmark's own"  # noqa: S105
CONNECTION = """
[connections.shop]
driver = "postgresql"
url = "{url}"
user = "reader"
password = "file:{password}"
"""
TABLE = "public.orders"
ORDERS = """
CREATE TABLE orders (id bigint PRIMARY KEY, customer text, price numeric(12, 2), at timestamptz, note text);
INSERT INTO orders SELECT n, 'customer ' || n %% 100000, n %% 100000 / 7.0,
  timestamptz '2024-01-01 00:00Z' + n * interval '1 second', md5(n::text) FROM generate_series(1, %(rows)s) n;
ANALYZE orders;
CREATE ROLE reader LOGIN PASSWORD %(password)s;
GRANT SELECT ON orders TO reader
"""


def run(lab: Lab) -> list[Line]:
    rows = lab.times(4_000_000, 100_000)
    with running_postgres() as server:
        port, name = server.fresh_database().rpartition(":")[2].split("/")
        with psycopg2.connect(host="127.0.0.1", port=int(port), user="drls", dbname=name) as connection:
            connection.cursor().execute(ORDERS, {"rows": rows, "password": PASSWORD})
        connection.close()
        password = lab.folder / "password"
        password.write_text(PASSWORD)
        url = f"jdbc:postgresql://127.0.0.1:{port}/{name}"
        with lab.connected(CONNECTION.format(url=url, password=password)):
            lab.engine()
            with session(lab.settings) as opened:
                opened.spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.bench_plain").collect()
                return [
                    _line(lab, opened.spark, rows, "one table", url, "alone"),
                    _line(lab, opened.spark, rows, "two tables", url, "first", "second"),
                ]


def _line(lab: Lab, spark: SparkSession, rows: int, what: str, url: str, *names: str) -> Line:
    source = {"kind": "jdbc", "connection": "shop", "table": TABLE, "partition_column": "id", "partitions": PARTS}
    nodes = [{"id": "orders", "type": "source", "source": source}]
    nodes += [overwriting(name, f"bench.{name}") for name in names]
    file = written(lab.folder, f"jdbc_{names[0]}", nodes, *(("orders", name) for name in names))

    def ours() -> float:
        return launched(lab, file).seconds

    def theirs() -> float:
        return seconds(lambda: [_plain(spark, url, rows, f"lake.bench_plain.{name}") for name in names])

    in_turn(1, ours, theirs)
    a, b = in_turn(lab.times(5, 2), ours, theirs)
    catalog = load_catalog(lab.settings)
    for name in names:
        for namespace in ("bench__development", "bench_plain"):
            _verify(catalog, (namespace, name), rows)
    sides = Side(f"DRLS run, {rows:,} rows in {PARTS} parts", a), Side("plain Spark on the same engine", b)
    return at_least("jdbc", what, *sides, SHARE)


def _plain(spark: SparkSession, url: str, rows: int, table: str) -> None:
    options: dict[str, Any] = {
        "url": url,
        "driver": POSTGRESQL.driver,
        "user": "reader",
        "password": PASSWORD,
        "dbtable": TABLE,
        "fetchsize": "10000",
        "partitionColumn": "id",
        "lowerBound": "1",
        "upperBound": str(rows),
        "numPartitions": str(PARTS),
    }
    spark.read.format("jdbc").options(**options).load().writeTo(table).using("iceberg").createOrReplace()


def _verify(catalog: Any, name: tuple[str, ...], rows: int) -> None:
    """Every row is there once: their number, and the sum of the ids."""
    ids = catalog.load_table(name).scan(selected_fields=("id",)).to_arrow()["id"].to_numpy()
    if (len(ids), int(ids.sum())) != (rows, rows * (rows + 1) // 2):
        raise RuntimeError(f"{'.'.join(name)} has {len(ids):,} rows whose ids sum to {ids.sum():,}")
