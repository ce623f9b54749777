"""Between which values of a column a database is read in parts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from drls_dagster.steps.sources.pins import SourceUnreadable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

    from drls_dagster.connections.opened import OpenedConnection


def bounds_of(
    spark: SparkSession,
    node: str,
    frame: DataFrame,
    column: str,
    selected: str,
    options: dict[str, str],
    connection: OpenedConnection,
) -> dict[str, str] | None:
    """Spark's options for that; None where there is no row. Bounds do not filter: Spark leaves both ends open."""
    from pyspark.sql.types import DateType, NumericType, TimestampType

    named = {field.name.lower(): field for field in frame.schema.fields}
    field = named.get(column.lower())
    if field is None:
        known = ", ".join(one.name for one in frame.schema.fields)[:200]
        raise SourceUnreadable(f"node '{node}': there is no column '{column}' to read in parts by; there are {known}")
    if not isinstance(field.dataType, NumericType | DateType | TimestampType):
        raise SourceUnreadable(
            f"node '{node}': the column '{field.name}' is {field.dataType.simpleString()}, and parts are spans of "
            "numbers, dates or timestamps with a time zone; name such a column as partition_column, or remove it and "
            "partitions"
        )
    database = connection.database
    name = database.quoted(field.name) if database is not None else field.name
    query = f"(SELECT MIN({name}) AS lowest, MAX({name}) AS highest FROM {selected}) drls_bounds"
    low, high = spark.read.format("jdbc").options(**options).option("dbtable", query).load().collect()[0]
    if low is None:
        return None
    return {"partitionColumn": field.name, "lowerBound": _low(low), "upperBound": _high(high)}


def _low(value: Any) -> str:
    return str(value) if hasattr(value, "year") else str(math.floor(value))


def _high(value: Any) -> str:
    return str(value) if hasattr(value, "year") else str(math.ceil(value))
