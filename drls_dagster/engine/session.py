"""A private Spark session on the warm engine."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.engine import state as st
from drls_dagster.engine.client import EngineError, Report, ensure_engine, running_engine
from drls_dagster.engine.processes import processes_of
from drls_dagster.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession


_CLOSE_SECONDS = 2
_RELEASE_TRIES = 10
_RELEASE_PAUSE_SECONDS = 0.5
_EXECUTOR_LOST = ("ExecutorLostFailure", "has failed the maximum allowable number of times")


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


def open_session(
    settings: Settings, report: Report = lambda _: None, *, session_id: str = "", start: bool = True
) -> EngineSession:
    """A new session, never one that another run uses (D2), in UTC; of the id that a caller made up for it.

    Starts the engine when none runs and it may. Raises EngineError when there is no way to one.
    """
    session_id = session_id or str(uuid.uuid4())
    if settings.engine.spark_connect:
        engine, url = None, settings.engine.spark_connect
    else:
        engine = ensure_engine(settings, report) if start else running_engine(settings)
        url = connect_url(engine)
    from drls_dagster.engine.connection import connect, make_active

    spark = connect(url, session_id)
    make_active(spark)
    try:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    except Exception as error:
        _close(spark)
        raise EngineError(f"no Spark Connect answer: {first_line(error)}") from error
    return EngineSession(spark, session_id, engine)


def connect_url(engine: st.EngineState) -> str:
    # "localhost", not 127.0.0.1: only for that name the client sends a token without TLS.
    return f"sc://localhost:{engine.connect_port}/;token={engine.token}"


def close_session(session: EngineSession) -> None:
    """Ends what the session still runs and gives its memory back; an engine that is gone needs neither."""
    if not session.is_alive:
        _close(session.spark)
        return
    with contextlib.suppress(_spark_error()):
        session.spark.interruptAll()
        session.spark.client.release_session()
    _close(session.spark)


def interrupt(settings: Settings, session_id: str, engine_id: str, *, release: bool = True) -> bool:
    """Stop what still runs in a session, even a dead process's: it must no longer commit.

    `engine_id` is empty for an endpoint that DRLS does not own. False where nobody confirms it: whoever asks must ask
    again later. An engine of which no process is left needs no answer.
    """
    url = _url_of(settings, engine_id)
    if url is None:
        return bool(engine_id) and not processes_of(engine_id)
    with _joined(url, session_id) as spark:
        try:
            spark.interruptAll()
            if release:
                _release(spark)
        except (_spark_error(), *_connection_errors()):
            return False
    return True


def is_closed(settings: Settings, session_id: str, engine_id: str) -> bool:
    """Whether the server says that it has closed this session: nothing runs in it. False where it does not answer."""
    url = _url_of(settings, engine_id)
    if url is None:
        return False
    with _joined(url, session_id) as spark:
        try:
            spark.interruptAll()
        except _spark_error() as error:
            return "SESSION_CLOSED" in str(error)
        except _connection_errors():
            return False
    return False


def _url_of(settings: Settings, engine_id: str) -> str | None:
    """Where a session of this engine, or of an endpoint that DRLS does not own, is asked; None where nobody is."""
    if not engine_id:
        return settings.engine.spark_connect or None
    engine = st.read_state(settings)
    if engine is None or engine.engine_id != engine_id or not engine.is_alive:
        return None
    return connect_url(engine)


@contextlib.contextmanager
def _joined(url: str, session_id: str) -> Iterator[SparkSession]:
    """A session that another process opened."""
    from drls_dagster.engine.connection import connect

    spark = connect(url, session_id)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"\[RETRIES_EXCEEDED\]")  # the answer says it
            yield spark
    finally:
        _close(spark)


def _release(spark: SparkSession) -> None:
    """End the session on the server. Raises PySparkException where the server still refuses after some tries.

    An operation that was just interrupted may not have noted its own end yet. Spark then answers an illegal state
    (SPARK-55448 is of this kind), and takes the release a moment later.
    """
    for _ in range(_RELEASE_TRIES - 1):
        try:
            spark.client.release_session()
        except _spark_error():
            time.sleep(_RELEASE_PAUSE_SECONDS)
        else:
            return
    spark.client.release_session()


def _close(spark: SparkSession) -> None:
    """gRPC waits for every call to end, and forever if Ctrl-C came during one: its answer is no longer wanted."""
    closing = threading.Thread(target=spark.client.close, daemon=True)
    closing.start()
    closing.join(_CLOSE_SECONDS)


@contextlib.contextmanager
def session(
    settings: Settings, report: Report = lambda _: None, *, session_id: str = "", start: bool = True
) -> Iterator[EngineSession]:
    """A session under a lease, so that the engine does not stop meanwhile."""
    with st.lease(settings):
        opened = open_session(settings, report, session_id=session_id, start=start)
        try:
            yield opened
        finally:
            close_session(opened)


# These say where; the cause that follows them says why, up to its own stack trace.
_SAYS_NO_REASON = ("[FAILED_READ_FILE", "Job aborted due to stage failure")
_CAUSE = re.compile(r"^Caused by: (?:[\w.$]+: )?(.+?)(?=\n\s+at |\nCaused by: |\Z)", re.MULTILINE | re.DOTALL)


def first_line(error: BaseException) -> str:
    """The part of a Spark error that says something: without stack traces."""
    text = str(error).strip()
    if "RPC that terminated with" in text:  # gRPC's own, which begins with the name of a class
        told = re.search(r'details = "([^"]*)', text)
        return f"the connection to Spark was lost ({told[1] if told else 'no details'}); run again"
    if any(words in text for words in _EXECUTOR_LOST):
        return "Spark kept losing its executor here, most likely because it ran out of memory: raise engine.memory"
    first = text.split("\n", 1)[0].split("JVM stacktrace:", 1)[0].strip() or type(error).__name__
    cause = _CAUSE.search(text) if first.startswith(_SAYS_NO_REASON) else None
    return " ".join(f"{first.split(' SQLSTATE:')[0].strip()}: {cause[1]}".split()) if cause else first


def _connection_errors() -> tuple[type[Exception], ...]:
    import grpc

    return (grpc.RpcError, OSError)


def _spark_error() -> type[Exception]:
    from pyspark.errors import PySparkException

    return PySparkException
