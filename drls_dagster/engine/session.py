"""A Spark session of one's own on the warm engine."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.engine import state as st
from drls_dagster.engine.client import EngineError, Report, ensure_engine
from drls_dagster.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

# PySpark writes each error to standard error, as pages of JSON, before it raises it.
_LOGS_EVERY_ERROR = ("pyspark.sql.connect.logging", "SQLQueryContextLogger")


@dataclass(frozen=True)
class EngineSession:
    """A session and the engine it lives on; `engine` is None on an endpoint that DRLS does not own."""

    spark: SparkSession
    session_id: str
    engine: st.EngineState | None

    @property
    def engine_id(self) -> str:
        return self.engine.engine_id if self.engine else ""

    @property
    def is_alive(self) -> bool:
        return self.engine is None or self.engine.is_alive


def open_session(settings: Settings, report: Report = lambda _: None) -> EngineSession:
    """A new session, never one that another run uses (D2), in UTC.

    Starts the engine when none runs. Raises EngineError when there is no way to one.
    """
    session_id = str(uuid.uuid4())
    if settings.engine.spark_connect:
        engine, url = None, settings.engine.spark_connect
    else:
        engine = ensure_engine(settings, report)
        url = connect_url(engine)
    spark = connect(url, session_id)
    try:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    except Exception as error:
        spark.client.close()
        raise EngineError(f"no Spark Connect answer: {first_line(error)}") from error
    return EngineSession(spark, session_id, engine)


def connect_url(engine: st.EngineState) -> str:
    # "localhost", not 127.0.0.1: only for that name the client sends a token without TLS.
    return f"sc://localhost:{engine.connect_port}/;token={engine.token}"


def connect(url: str, session_id: str) -> SparkSession:
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession

    for name in _LOGS_EVERY_ERROR:
        logging.getLogger(name).disabled = True
    separator = "" if url.endswith(";") else ";" if "/;" in url else "/;"
    spark = SparkSession.builder.remote(f"{url}{separator}session_id={session_id}").create()
    # Spark's own policy waits ten minutes for a server that is gone.
    spark.client.set_retry_policies([DefaultPolicy(max_retries=4, max_backoff=2000)])
    return spark


def close_session(session: EngineSession) -> None:
    """Ends what the session still runs and gives its memory back; an engine that is gone needs neither."""
    if not session.is_alive:
        session.spark.client.close()
        return
    with contextlib.suppress(_spark_error()):
        session.spark.interruptAll()
        session.spark.client.release_session()
    session.spark.client.close()


def interrupt(settings: Settings, session_id: str, engine_id: str, *, release: bool = True) -> None:
    """Stop what still runs in a session, a dead process's too: it must not commit any more."""
    engine = st.read_state(settings)
    if engine is None or engine.engine_id != engine_id or not engine.is_alive:
        return
    spark = connect(connect_url(engine), session_id)
    with contextlib.suppress(_spark_error()):
        spark.interruptAll()
        if release:
            spark.client.release_session()
    spark.client.close()


@contextlib.contextmanager
def session(settings: Settings, report: Report = lambda _: None) -> Iterator[EngineSession]:
    """A session under a lease, so that the engine does not stop meanwhile."""
    with st.lease(settings):
        opened = open_session(settings, report)
        try:
            yield opened
        finally:
            close_session(opened)


def first_line(error: BaseException) -> str:
    """The part of a Spark error that says something: without stack traces."""
    text = str(error).strip()
    return text.split("\n", 1)[0].split("JVM stacktrace:", 1)[0].strip() or type(error).__name__


def _spark_error() -> type[Exception]:
    from pyspark.errors import PySparkException

    return PySparkException
