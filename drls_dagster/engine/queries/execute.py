"""A statement in a Spark session of its own, on snapshots that were chosen before, stopped when its time is over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql.types import StructType

from drls_dagster.engine.client import EngineError
from drls_dagster.engine.queries.statement import Statement
from drls_dagster.engine.session import first_line, session
from drls_dagster.lakehouse.columns import spark_quoted
from drls_dagster.lakehouse.names import join_name
from drls_dagster.lakehouse.reader.sql.execute import too_long
from drls_dagster.lakehouse.reader.values import first_rows
from drls_dagster.settings import Settings
from lifecycle.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from pyspark.sql.connect.dataframe import DataFrame

STOP_SECONDS = 15.0  # in which Spark confirms that it stopped
_AGAIN = 0.5
Pins = Mapping[str, tuple[Sequence[str], int | None]]


def select(
    settings: Settings,
    statement: Statement,
    pins: Pins,
    session_id: str,
    *,
    seconds: float,
    rows: int,
    most_bytes: int,
    text: int,
) -> dict[str, Any]:
    """The columns and at most `rows` rows. `pins`: by the name that the statement has, the table and its snapshot.

    Raises Unavailable where no engine runs, or where Spark does not confirm that it stopped; TooLong.
    """
    with _joined(settings, session_id) as spark, ThreadPoolExecutor(1, "query-spark") as thread:

        def run() -> dict[str, Any]:
            for view, parts in statement.views.items():
                _pinned(spark, settings.catalog.name, *pins[join_name(parts)]).createOrReplaceTempView(view)
            batches = _batches(spark, spark.sql(statement.sql).limit(rows + 1))
            return first_rows(next(batches), batches, rows=rows, most_bytes=most_bytes, text=text)

        return _in_time(spark, thread.submit(run), seconds, statement)


@contextmanager
def _joined(settings: Settings, session_id: str) -> Iterator[Any]:
    try:
        with session(settings, session_id=session_id, start=False) as opened:
            yield opened.spark
    except EngineError as error:
        raise Unavailable(error.message) from None


def _pinned(spark: Any, catalog: str, table: Sequence[str], snapshot: int | None) -> DataFrame:
    name = ".".join(map(spark_quoted, (catalog, *table)))
    # It had no row when it was looked at, and may have some by now.
    at = "WHERE false" if snapshot is None else f"VERSION AS OF {snapshot}"
    return spark.sql(f"SELECT * FROM {name} {at}")


def _batches(spark: Any, frame: DataFrame) -> Iterator[Any]:
    """The schema of Arrow, then batch by batch: `toArrow` would hold the whole answer, however long its rows are."""
    found = spark.client.to_table_as_iterator(frame._plan.to_proto(spark.client), frame._plan.observations)
    tables = (one for one in found if not isinstance(one, StructType))
    first: pa.Table = next(tables)
    yield first.schema
    for one in chain([first], tables):
        yield from one.to_batches()


def _in_time(spark: Any, pending: Future[dict[str, Any]], seconds: float, statement: Statement) -> dict[str, Any]:
    if not wait([pending], timeout=seconds).done:
        _stop(spark, pending)
        raise too_long(seconds)
    try:
        return pending.result()
    except PySparkException as error:
        raise Invalid(f"the query failed: {_words(error, statement)}") from None


def _stop(spark: Any, pending: Future[dict[str, Any]]) -> None:
    """Until the query has ended. Again and again: a part of it may begin just after this."""
    for _ in range(int(STOP_SECONDS / _AGAIN)):
        with suppress(PySparkException):
            spark.interruptAll()
        if wait([pending], timeout=_AGAIN).done:
            return
    raise Unavailable(
        "the query took too long, and Spark does not confirm that it stopped; drls engine status says what Spark does"
    )


def _words(error: PySparkException, statement: Statement) -> str:
    """Spark's words, with the names that whoever asked knows."""
    text = first_line(error).partition(" SQLSTATE:")[0]
    for view, parts in statement.views.items():
        text = text.replace(view, join_name(parts))
    return re.sub(r"^\[[A-Z_.]+\] ", "", text)
