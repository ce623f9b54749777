"""The flights job as a person writes it for plain local Spark, in a process that stays warm.

The SQL, the Python and the schemas are read from the example's file, so both sides run the same text.
Partitioning, sort order and merge keys are written out here in Spark's own terms. The scored rows are cached,
because two tables need them.

`python -m benchmarks.plain_flights PIPELINE LANDING FOLDER JARS [once]`
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from benchmarks.lab import serve
from drls_dagster.lakehouse.columns import arrow_schema, spark_ddl_of_spec
from lifecycle.spec import FilesSource, PipelineSpec, RayProcessTransform, SparkTransform, load_pipeline

YEAR = {"partition_start": date(2013, 1, 1), "partition_end": date(2014, 1, 1)}
DAILY = "lake.flights.daily_delays"
AIRCRAFT = "lake.flights.aircraft_use"
CHECKS = f"""
WITH daily AS (
  SELECT count(*) AS row_count,
         count_if(day IS NULL OR origin IS NULL OR flights IS NULL) AS nulls,
         count(*) - count(DISTINCT day, origin) AS twins,
         count_if(origin NOT IN ('EWR', 'JFK', 'LGA')) AS not_accepted,
         count_if(mean_risk < 0 OR mean_risk > 1) AS risk_outside,
         count_if(mean_delay < -20 OR mean_delay > 60) AS delay_outside
  FROM {DAILY}),
aircraft AS (
  SELECT count_if(month IS NULL OR tailnum IS NULL OR airline IS NULL) AS nulls,
         count(*) - count(DISTINCT month, tailnum, airline) AS twins
  FROM {AIRCRAFT})
SELECT (SELECT struct(*) FROM daily) AS daily, (SELECT struct(*) FROM aircraft) AS aircraft,
       (SELECT count(*) = 0 FROM {DAILY} WHERE year(day) <> 2013) AS in_2013
"""


def session(folder: Path, jars: str) -> SparkSession:
    """Local Spark on two cores, with as much heap as the engine's driver and executor together."""
    return (
        SparkSession.builder.master("local[2]")  # pyright: ignore[reportAttributeAccessIssue]
        .config("spark.driver.memory", "1792m")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.jars", jars)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.serializer", "org.apache.spark.serializer.KryoSerializer")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "65536")
        .config("spark.sql.warehouse.dir", str(folder / "spark"))
        .config("spark.sql.extensions", "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions")
        .config("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog")
        .config("spark.sql.catalog.lake.catalog-impl", "org.apache.iceberg.jdbc.JdbcCatalog")
        .config("spark.sql.catalog.lake.jdbc.schema-version", "V1")
        .config("spark.sql.catalog.lake.uri", f"jdbc:sqlite:{folder / 'catalog.db'}")
        .config("spark.sql.catalog.lake.warehouse", str(folder / "warehouse"))
        .getOrCreate()
    )


def job(spark: SparkSession, spec: PipelineSpec, landing: Path) -> dict[str, float]:
    """The whole job; seconds until both tables were written, and until the same checks were made as well."""
    began = time.perf_counter()
    for node in spec.sources:
        source = node.source
        assert isinstance(source, FilesSource)
        assert source.schema_
        reader = spark.read.options(**source.options).schema(spark_ddl_of_spec(source.schema_))
        reader.csv(str(landing / source.path)).createOrReplaceTempView(node.id)
    spark.sql(_sql(spec, "departures"), args=YEAR).createOrReplaceTempView("departures")
    scored = _scored(spark.table("departures"), spec).persist()
    scored.createOrReplaceTempView("scored")
    daily = spark.sql(_sql(spec, "per_day"), args={"min_flights": 10})
    # Also cached: otherwise, Spark 4.1 cannot plan the merge (INTERNAL_ERROR_ATTRIBUTE_NOT_FOUND: month).
    aircraft = spark.sql(_sql(spec, "per_aircraft")).persist()
    _make_tables(spark, daily, aircraft)
    daily.writeTo(DAILY).overwritePartitions()
    aircraft.createOrReplaceTempView("new_aircraft")
    spark.sql(
        f"MERGE INTO {AIRCRAFT} t USING new_aircraft s "
        "ON t.month <=> s.month AND t.tailnum <=> s.tailnum AND t.airline <=> s.airline "
        "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )
    aircraft.unpersist()
    scored.unpersist()
    written = time.perf_counter() - began
    (checked,) = spark.sql(CHECKS).collect()
    assert checked.daily.row_count > 0
    assert checked.in_2013
    return {"written": written, "checked": time.perf_counter() - began}


def _sql(spec: PipelineSpec, name: str) -> str:
    node = spec.node(name)
    assert isinstance(node, SparkTransform)
    assert node.sql
    return node.sql


def _scored(departures: DataFrame, spec: PipelineSpec) -> DataFrame:
    node = spec.node("scored")
    assert isinstance(node, RayProcessTransform)
    assert node.python
    source, schema = node.python, arrow_schema(node.output_schema)

    def on_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        names: dict[str, Any] = {}
        exec(source, names)  # noqa: S102  the example's own Python
        process: Callable[[pa.Table], pa.Table] = names["process"]
        for batch in batches:
            yield from process(pa.Table.from_batches([batch])).cast(schema).to_batches()

    return departures.mapInArrow(on_batches, spark_ddl_of_spec(node.output_schema))


def _make_tables(spark: SparkSession, daily: DataFrame, aircraft: DataFrame) -> None:
    if spark.catalog.tableExists(DAILY):
        return
    spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.flights")
    for name, frame, by, properties in (
        (DAILY, daily, "months(day)", "TBLPROPERTIES ('write.parquet.compression-codec' = 'zstd')"),
        (AIRCRAFT, aircraft, "month", ""),
    ):
        columns = ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in frame.schema.fields)
        spark.sql(f"CREATE TABLE {name} ({columns}) USING iceberg PARTITIONED BY ({by}) {properties}")
    spark.sql(f"ALTER TABLE {DAILY} WRITE ORDERED BY day, origin")


def main() -> None:
    pipeline, landing, folder, jars, *once = sys.argv[1:]
    spec = load_pipeline(Path(pipeline))
    spark = session(Path(folder), jars)
    if once:
        job(spark, spec, Path(landing))
    else:
        serve(lambda _: job(spark, spec, Path(landing)))
    spark.stop()


if __name__ == "__main__":
    main()
