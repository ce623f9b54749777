"""Rows of sources that keep no snapshots, written once per run and read from there by every sink and retry (D2).

They are read in a Spark session of their own. A pipeline's code joins the session of its run; this one is another,
whose id nobody else learns: what is set or asked here, such as a password, cannot be seen in the run's.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from drls_dagster.engine.conf import REDACTED
from drls_dagster.engine.session import session
from drls_dagster.steps.sources.pins import SourceMissing
from drls_dagster.steps.staging import forget, parquet_files
from drls_dagster.storage import filesystem_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

    from drls_dagster.connections.opened import AnyOpened
    from drls_dagster.settings import Settings

ROWS_PER_FILE = 5_000_000
Kept = list[list[Any]]  # of each file its path, rows and bytes


def refuse_moved(node: str, connection: AnyOpened, pinned: str) -> None:
    """Raises SourceMissing for a connection that has another fingerprint than the one the run pinned."""
    if connection.fingerprint != pinned:
        raise SourceMissing(
            f"node '{node}': the connection '{connection.name}' leads elsewhere since the run pinned it; start a "
            "new run"
        )


@contextmanager
def own_session(settings: Settings, active: SparkSession) -> Iterator[SparkSession]:
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


def write_rows(make: Callable[[], DataFrame], folder: str, raised: Callable[[Exception], Exception]) -> Kept:
    """Writes the rows of the frame that is made to a folder below `folder`.

    `raised` makes what is raised of Spark's error. Then, and when it is interrupted, nothing is left there.
    """
    from pyspark.errors import PySparkException

    target = f"{folder}/{uuid.uuid4().hex}"  # what an earlier try left is not among it, even if it still writes
    try:
        # The first version of the format, compressed: Spark's reader gets some uncompressed text of the second wrong.
        make().write.option("maxRecordsPerFile", ROWS_PER_FILE).option("compression", "zstd").parquet(target)
    except PySparkException as error:
        forget(target)
        raise raised(error) from None
    except BaseException:
        forget(target)
        raise
    return _files(target)


def read_rows(spark: SparkSession, files: Sequence[Sequence[Any]]) -> DataFrame:
    """The rows that were written, as Spark said of them then."""
    from pyspark.sql.types import StructType

    return spark.read.schema(StructType.fromJson(_schema_of(files[0][0]))).parquet(*(path for path, _, _ in files))


def _files(folder: str) -> Kept:
    import pyarrow.parquet as pq

    found: Kept = []
    for name in parquet_files(folder):
        path = f"{folder}/{name}"
        filesystem, place = filesystem_of(path)
        with filesystem.open_input_file(place) as file:
            found.append([path, pq.read_metadata(file).num_rows, file.size()])
    return found


def _schema_of(file: str) -> dict[str, Any]:
    """The schema that Spark wrote into a file."""
    import pyarrow.parquet as pq

    filesystem, place = filesystem_of(file)
    with filesystem.open_input_file(place) as opened:
        metadata = pq.read_metadata(opened).metadata or {}
    return json.loads(metadata[b"org.apache.spark.sql.parquet.row.metadata"])
