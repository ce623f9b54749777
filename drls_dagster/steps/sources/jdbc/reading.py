"""Reading a database with Spark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.connections.opened import OpenedConnection
from drls_dagster.steps.sources.jdbc.bounds import bounds_of
from drls_dagster.steps.sources.jdbc.words import told
from drls_dagster.steps.sources.pins import SourceUnreadable
from drls_dagster.steps.sources.staged import Kept, write_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession


@dataclass(frozen=True)
class Wanted:
    """What is read: `selected` follows FROM."""

    node: str
    selected: str
    column: str | None
    partitions: int


def staged(spark: SparkSession, wanted: Wanted, connection: OpenedConnection, folder: str) -> Kept:
    """Writes the rows to a folder below `folder`. Raises SourceUnreadable."""

    def unreadable(error: Exception) -> SourceUnreadable:
        return SourceUnreadable(
            f"node '{wanted.node}': the connection '{connection.name}' cannot be read: {told(error, connection)}"
        )

    return write_rows(lambda: _frame(spark, wanted, connection), folder, unreadable)


def _frame(spark: SparkSession, wanted: Wanted, connection: OpenedConnection) -> DataFrame:
    options = options_of(connection)
    frame = spark.read.format("jdbc").options(**options).option("dbtable", wanted.selected).load()
    refuse_lossy(wanted.node, frame, connection)
    if wanted.column is None or wanted.partitions == 1:
        return frame
    bounds = bounds_of(spark, wanted.node, frame, wanted.column, wanted.selected, options, connection)
    if bounds is None:
        return frame
    parts = {**bounds, "numPartitions": str(wanted.partitions)}
    return spark.read.format("jdbc").options(**options, **parts).option("dbtable", wanted.selected).load()


def options_of(connection: OpenedConnection) -> dict[str, str]:
    """The connection as Spark's options call it."""
    database = connection.database
    found = {
        **connection.options,
        "url": connection.url,
        # Without it, the second read in a JVM takes Spark's own wrapper of drivers for one.
        "driver": connection.driver_class,
        "fetchsize": str(connection.fetch_size),
        # A time without a zone is what it says, in whichever zone the engine's machine is.
        "preferTimestampNTZ": "true",
    }
    if connection.user is not None:
        found["user"] = connection.user
    if connection.password is not None:
        found["password"] = connection.password
    if database is not None and database.first is not None:
        found["sessionInitStatement"] = database.first
    return found


def refuse_lossy(node: str, frame: DataFrame, connection: OpenedConnection) -> None:
    """Raises SourceUnreadable for a decimal without precision, whose digits Spark would cut to what it makes of it."""
    from pyspark.sql.types import DecimalType

    database = connection.database
    if database is None or database.loose_decimal is None:
        return
    for field in frame.schema.fields:
        kind = field.dataType
        if isinstance(kind, DecimalType) and (kind.precision, kind.scale) == database.loose_decimal:
            raise SourceUnreadable(
                f"node '{node}': the column '{field.name}' is a number without precision, whose digits Spark would cut "
                f"to {kind.precision}, {kind.scale} of them behind the point; cast it in a query, for example to "
                "numeric(38, 10)"
            )
