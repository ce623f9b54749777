"""What a SELECT for Spark may say: tables of the catalog, and nothing that runs code or reads files. No engine needed."""

from __future__ import annotations

import pytest

from drls_dagster.engine.queries import query
from drls_dagster.engine.queries.statement import read_statement
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.settings import load_settings
from lifecycle.domain.tables import QueryEngine, ReadLimits
from lifecycle.errors import Invalid, NotFound, Refused, Unavailable
from tests.iceberg_tables import make_table

LIMITS = ReadLimits(rows=10, bytes=100_000, seconds=5, text=100)
# Each is refused before anything runs.
REFUSED = [
    "SELECT reflect('java.lang.System', 'getenv', 'HOME')",
    "SELECT java_method('java.lang.Runtime', 'getRuntime')",
    "SELECT try_reflect('java.lang.System', 'exit', 1)",
    "SELECT `reflect`('java.lang.System', 'getenv')",
    "SELECT system.builtin.reflect('java.lang.System', 'getenv')",
    "SELECT builtin.java_method('java.lang.System', 'getenv')",
    "SELECT * FROM flights.daily WHERE reflect('java.lang.System', 'getenv') = 1",
    "SELECT * FROM identifier('flights.daily')",
    "SELECT identifier('x')(1)",
    "SELECT from_xml('<a/>', 'a INT', map('rowValidationXSDPath', '/etc/passwd'))",
    "SELECT from_avro(x, 'bytes', map('avroSchemaUrl', '/etc/passwd')) FROM flights.daily",
    "SELECT from_protobuf(x, 'M', '/etc/passwd') FROM flights.daily",
    "SELECT to_protobuf(x, 'M', '/etc/passwd') FROM flights.daily",
    "SELECT input_file_name() FROM flights.daily",
    "SELECT input_file_block_start() FROM flights.daily",
    "SELECT current_user()",
    "SELECT current_user",
    "SELECT current_database()",
    "SELECT version()",
    "SELECT * FROM read_files('/etc')",
    "SELECT * FROM sql_keywords()",
    "SELECT TRANSFORM (x) USING 'cat' FROM flights.daily",
    "SELECT MAP x USING 'cat' FROM flights.daily",
    "SELECT * FROM flights.daily VERSION AS OF 1",
    "SELECT * FROM flights.daily TIMESTAMP AS OF '2026-01-01'",
    "SELECT * FROM daily",
    "SELECT * FROM lake.flights.daily.files",
    "TABLE flights.daily",
    "FROM flights.daily |> SELECT x",
    "SELECT ${spark.sql.warehouse.dir}",
    "SELECT :x",
    "SELECT ?",
    "SELECT @x",
    "SET spark.sql.ansi.enabled = false",
    "RESET",
    "USE flights",
    "ADD JAR '/tmp/x.jar'",
    "ADD FILE '/etc/passwd'",
    "LIST FILES",
    "DESCRIBE flights.daily",
    "SHOW TABLES",
    "EXPLAIN SELECT 1",
    "CACHE TABLE flights.daily",
    "REFRESH TABLE flights.daily",
    "CALL lake.system.expire_snapshots('flights.daily')",
    "CREATE TABLE flights.t AS SELECT 1",
    "CREATE TEMPORARY VIEW v AS SELECT 1",
    "CREATE FUNCTION f AS 'x' USING JAR '/tmp/x.jar'",
    "INSERT INTO flights.daily VALUES (1)",
    "INSERT OVERWRITE DIRECTORY '/tmp/x' USING csv SELECT 1",
    "FROM flights.daily INSERT INTO flights.t SELECT x",
    "UPDATE flights.daily SET x = 1",
    "DELETE FROM flights.daily",
    "MERGE INTO flights.daily USING flights.t ON true WHEN MATCHED THEN DELETE",
    "DROP TABLE flights.daily",
    "ALTER TABLE flights.daily ADD COLUMN y INT",
    "TRUNCATE TABLE flights.daily",
    "LOAD DATA INPATH '/tmp/x' INTO TABLE flights.daily",
    "BEGIN SELECT 1; END",
    "EXECUTE IMMEDIATE 'DROP TABLE flights.daily'",
    "DECLARE x = 1",
    "SELECT 1; DROP TABLE flights.daily",
    "WITH a AS (SELECT 1) DELETE FROM flights.daily",
    "SELECT * INTO other FROM flights.daily",
    "SELECT 1 -- \\\n; DROP TABLE flights.daily",
    "",
    ";",
    "-- nothing",
    "not sql at all",
    "SELECT " + "(" * 3_000 + "1" + ")" * 3_000,
    "SELECT '" + "x" * 100_001 + "'",
]
# Each names something that is no table of the catalog: it is looked for as one, and not found.
NO_TABLES = {
    "SELECT * FROM csv.`/etc/passwd`": "csv./etc/passwd",
    "SELECT * FROM text.`/etc/passwd`": "text./etc/passwd",
    "SELECT * FROM `parquet`.`s3a://bucket/key`": "parquet.s3a://bucket/key",
    "SELECT * FROM iceberg.`/warehouse/flights/daily`": "iceberg./warehouse/flights/daily",
    "SELECT (SELECT max(value) FROM text.`/etc/passwd`)": "text./etc/passwd",
    "SELECT * FROM flights.daily.snapshots": "flights.daily.snapshots",
    "SELECT * FROM spark_catalog.default.t": "spark_catalog.default.t",
    "SELECT * FROM system.session.variables": "system.session.variables",
}


@pytest.mark.parametrize("sql", REFUSED, ids=lambda one: one[:40])
def test_what_is_no_query_over_tables_is_refused_in_a_line(sql: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_statement(sql)
    assert "\n" not in refused.value.message
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(("sql", "name"), NO_TABLES.items())
def test_a_path_or_a_table_of_spark_is_the_name_of_a_table_that_must_be_seen(sql: str, name: str) -> None:
    statement = read_statement(sql)
    assert name in statement.tables
    for qualified in ("csv.", "text.", "parquet", "iceberg.", "flights.", "lake.", "spark_catalog", "system."):
        assert qualified not in statement.sql, "Spark never hears of it"


def test_spark_gets_one_query_over_views_of_its_own() -> None:
    first, again = (
        read_statement("WITH daily AS (SELECT 1 AS x) SELECT /*+ BROADCAST(d) */ flights.daily.x -- a remark\n"
                       "FROM flights.daily, daily, Flights.late d WHERE d.`odd name` > 1")
        for _ in range(2)
    )  # fmt: skip
    assert first.tables == ["flights.daily", "Flights.late"]
    assert set(first.views.values()) == {("flights", "daily"), ("Flights", "late")}
    assert not set(first.views) & set(again.views), "no statement can say the name of a view"
    assert first.sql.startswith("SELECT * FROM (\n")
    for gone in ("remark", "BROADCAST", "flights.", "Flights."):
        assert gone not in first.sql
    for view in first.views:
        assert view in first.sql


def test_all_that_is_refused_is_refused_by_the_process_that_asks_spark() -> None:
    make_table("flights.daily", {"x": [1, 2]})
    asked: list[str] = []

    def may(name: str) -> None:
        asked.append(name)
        if name != "flights.daily":
            raise NotFound(f"there is no table {name}")

    def ask(sql: str) -> None:
        query(load_settings(), load_catalog(), sql, may, None, None, LIMITS)

    with pytest.raises(Invalid, match="reflect"):
        ask("SELECT reflect('java.lang.System', 'getenv', 'HOME')")
    with pytest.raises(NotFound, match="passwd"):
        ask("SELECT * FROM csv.`/etc/passwd` JOIN flights.daily")
    with pytest.raises(NotFound, match=r"no ref 'nope'"):
        query(load_settings(), load_catalog(), "SELECT x FROM flights.daily", may, None, "nope", LIMITS)
    # A query starts no engine.
    with pytest.raises(Unavailable, match="start it with drls engine start"):
        ask("SELECT x FROM flights.daily")
    assert set(asked) == {"csv./etc/passwd", "flights.daily"}
    tables = IcebergTables(load_settings())
    with pytest.raises(Refused, match="ask DuckDB"):
        tables.query("SELECT 1", may, None, None, LIMITS, QueryEngine.SPARK)
