"""Queries in Spark: rights and snapshots are decided here, as for DuckDB; a process of its own is Spark's client."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from drls_dagster.engine.client import EngineError, running_engine
from drls_dagster.lakehouse.reader.asking import Asking, answered, pinned
from drls_dagster.lakehouse.reader.sql.workers import Worker, WorkerGone, workers
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.tables import QueryRows, ReadLimits
from lifecycle.errors import LifecycleError, Unavailable

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

WORKER = "drls_dagster.engine.queries.worker"
# To connect, and to stop at the end of its time: the worker sees to both itself.
_BESIDES_SECONDS = 60.0
_LOG = logging.getLogger(__name__)


def query(
    settings: Settings,
    catalog: Catalog,
    sql: str,
    may: Callable[[str], None],
    environment: Environment | None,
    ref: str | None,
    limits: ReadLimits,
) -> QueryRows:
    """Raises what a query in DuckDB raises, and Unavailable where no engine runs: a query starts none."""
    asking = Asking(settings, limits)
    with workers(WORKER).one(asking.memory) as worker:
        pins = pinned(catalog, asking.tables(worker, sql), may, environment, ref)
        engine = _running(settings)
        session = str(uuid.uuid4())
        request = {**asking.selecting(pins), "session": session}
        try:
            answer = asking.ask(worker, request, asking.seconds + _BESIDES_SECONDS)
        except LifecycleError:
            if not worker.is_alive:
                # It was killed, or had to be: what it began in Spark is still to be stopped.
                _stop(settings, asking.memory, session, engine)
            raise
    return answered(answer, pins)


def _running(settings: Settings) -> str:
    """The id of the engine, which is empty for an endpoint that DRLS does not own."""
    if settings.engine.spark_connect:
        return ""
    try:
        return running_engine(settings).engine_id
    except EngineError as error:
        raise Unavailable(error.message) from None


def _stop(settings: Settings, memory: str, session: str, engine: str) -> None:
    """Raises Unavailable where Spark does not confirm it."""
    other = Worker(memory, WORKER)
    request: dict[str, Any] = {"do": "interrupt", "settings": settings, "session": session, "engine": engine}
    try:
        other.wait()
        confirmed = other.ask(request, _BESIDES_SECONDS).get("confirmed", False)
    except (WorkerGone, TimeoutError, LifecycleError):
        confirmed = False
    finally:
        other.end()
    if not confirmed:
        _LOG.warning("the query in Spark's session %s was not confirmed to have stopped", session)
        raise Unavailable("the query was given up, and Spark does not confirm that it stopped; see drls engine status")
