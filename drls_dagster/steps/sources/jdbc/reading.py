"""Reading a database with Spark, in a session of its own.

A pipeline's code joins the session of its run. This one is another, whose id nobody else learns: what is set here, such
as the password, cannot be read in the run's.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drls_dagster.connections.opened import OpenedConnection
from drls_dagster.engine.conf import REDACTED
from drls_dagster.engine.session import session
from drls_dagster.steps.sources.jdbc.bounds import bounds_of
from drls_dagster.steps.sources.jdbc.words import told
from drls_dagster.steps.sources.pins import SourceUnreadable
from drls_dagster.steps.staging import forget, parquet_files
from drls_dagster.storage import filesystem_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

    from drls_dagster.settings import Settings

ROWS_PER_FILE = 5_000_000


@dataclass(frozen=True)
class Wanted:
    """What is read: `selected` follows FROM."""

    node: str
    selected: str
    column: str | None
    partitions: int


@contextmanager
def database_session(settings: Settings, active: SparkSession) -> Iterator[SparkSession]:
    """A session for one read; `active` is the run's, which stays the one that code finds."""
    from drls_dagster.engine.connection import make_active

    try:
        with session(settings) as opened:
            spark = opened.spark
            spark.conf.set("spark.sql.redaction.string.regex", REDACTED)
            # Spark's default, INT96, is another time after 2262 in other readers.
            spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
            yield spark
    finally:
        make_active(active)


def staged(spark: SparkSession, wanted: Wanted, connection: OpenedConnection, folder: str) -> list[list[Any]]:
    """Writes the rows to a folder below `folder`: of each file its path, rows and bytes.

    Raises SourceUnreadable. Then, and when it is interrupted, nothing is left there.
    """
    from pyspark.errors import PySparkException

    target = f"{folder}/{uuid.uuid4().hex}"  # what an earlier try left is not among it, even if it still writes
    try:
        frame = _frame(spark, wanted, connection)
        # The first version of the format, compressed: Spark's reader gets some uncompressed text of the second wrong.
        frame.write.option("maxRecordsPerFile", ROWS_PER_FILE).option("compression", "zstd").parquet(target)
    except PySparkException as error:
        forget(target)
        raise SourceUnreadable(
            f"node '{wanted.node}': the connection '{connection.name}' cannot be read: {told(error, connection)}"
        ) from None
    except BaseException:
        forget(target)
        raise
    return _files(target)


def _frame(spark: SparkSession, wanted: Wanted, connection: OpenedConnection) -> DataFrame:
    options = _options(connection)
    frame = spark.read.format("jdbc").options(**options).option("dbtable", wanted.selected).load()
    _refuse_lossy(wanted.node, frame, connection)
    if wanted.column is None or wanted.partitions == 1:
        return frame
    bounds = bounds_of(spark, wanted.node, frame, wanted.column, wanted.selected, options, connection)
    if bounds is None:
        return frame
    parts = {**bounds, "numPartitions": str(wanted.partitions)}
    return spark.read.format("jdbc").options(**options, **parts).option("dbtable", wanted.selected).load()


def _options(connection: OpenedConnection) -> dict[str, str]:
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


def _refuse_lossy(node: str, frame: DataFrame, connection: OpenedConnection) -> None:
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


def _files(folder: str) -> list[list[Any]]:
    import pyarrow.parquet as pq

    found: list[list[Any]] = []
    for name in parquet_files(folder):
        path = f"{folder}/{name}"
        filesystem, place = filesystem_of(path)
        with filesystem.open_input_file(place) as file:
            found.append([path, pq.read_metadata(file).num_rows, file.size()])
    return found


def schema_of(file: str) -> Mapping[str, Any]:
    """The schema that Spark wrote into a file."""
    import json

    import pyarrow.parquet as pq

    filesystem, place = filesystem_of(file)
    with filesystem.open_input_file(place) as opened:
        metadata = pq.read_metadata(opened).metadata or {}
    return json.loads(metadata[b"org.apache.spark.sql.parquet.row.metadata"])
