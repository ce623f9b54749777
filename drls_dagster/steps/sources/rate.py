"""The rate source: made-up rows of the minute before the pin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.spec import RateSource

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

RATE_SECONDS = 60


def read_rate(spark: SparkSession, source: RateSource, second: int) -> DataFrame:
    """One minute of Spark's rate source: the rows of the 60 seconds before the pin."""
    from pyspark.sql.connect.functions import builtin as f

    first = (second - RATE_SECONDS) * source.rows_per_second
    rows = spark.range(first, second * source.rows_per_second)
    at = f.timestamp_micros((f.col("id") * 1_000_000 / source.rows_per_second).cast("bigint"))
    return rows.select(at.alias("timestamp"), f.col("id").alias("value"))
