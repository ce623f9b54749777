"""`drls.spark()`: the one Spark session of a program, on the warm engine."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drls_dagster.errors import UsageError

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

    from drls_dagster.engine.session import EngineSession
    from drls_dagster.settings import Settings

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Held:
    """The session, the lease that keeps its engine from stopping, and who holds it: a forked child has none."""

    home: object
    process: int
    session: EngineSession
    stack: ExitStack

    def close(self) -> None:
        from drls_dagster.engine.session import close_session

        if self.process == os.getpid():
            with self.stack:
                close_session(self.session)


_line = threading.RLock()
_held: _Held | None = None


def spark() -> SparkSession:
    """A session on the warm Spark-on-Ray engine, the same one at every call. Starts the engine if none runs.

    It is a Spark Connect session in UTC, and its catalog is that of the settings, under the same name. It can do what
    the catalog's credentials in DRLS_HOME allow: governed tables change through runs, see `drls.run`. While it is open,
    the engine does not stop. Raises EngineError where the engine does not start.
    """
    from drls_dagster.settings import load_settings

    return shared_session(load_settings()).spark


def stop(*, engine: bool = False) -> None:
    """Closes the session of `drls.spark()`; frames made with it can no longer be used. Without effect if none is open.

    The engine stays warm for the next program until it has been idle for `engine.idle_minutes`. With `engine=True` it
    stops now; raises EngineError while others use it.
    """
    global _held
    with _line:
        held, _held = _held, None
        if held is not None:
            held.close()
    if engine:
        from drls_dagster.engine import client
        from drls_dagster.settings import load_settings

        client.stop(load_settings())


def init_spark(
    app_name: str = "drls",
    executors: int | None = None,
    cores: int | None = None,
    memory: str | None = None,
    catalog: str | None = None,
    warehouse: str | None = None,
    uri: str | None = None,
    properties: Mapping[str, Any] | None = None,
) -> SparkSession:
    """`drls.spark()` under the name that the first DRLS had, for programs written for it.

    The engine and the catalog are those of the settings: an argument that differs from them is refused, and the message
    names the setting. `app_name` becomes a tag of what the session runs. `properties` are set in the session; one that
    Spark reads only at its start is refused as well.
    """
    from drls_dagster.settings import load_settings

    settings = load_settings()
    _refuse_other(settings, executors, cores, memory, catalog, warehouse, uri)
    session = shared_session(settings).spark
    if app_name:
        session.addTag(app_name.replace(",", " "))
    for name, value in (properties or {}).items():
        _set(session, name, value)
    return session


def stop_spark() -> None:
    """`drls.stop()` under the name that the first DRLS had."""
    stop()


def shared_session(settings: Settings) -> EngineSession:
    """The program's session on the engine of these settings; a new one where the engine of the last is gone."""
    from drls_dagster.notebooks.inside import refuse_inside

    refuse_inside("drls.spark")
    from drls_dagster.engine.session import open_session
    from drls_dagster.engine.state import lease

    global _held  # noqa: PLW0603
    with _line:
        if _held is not None and _is_good(_held, settings):
            return _held.session
        stop()
        with ExitStack() as stack:
            stack.enter_context(lease(settings))
            session = open_session(settings, _LOG.info)
            _held = _Held(settings.home, os.getpid(), session, stack.pop_all())
        atexit.register(_at_exit)
        return _held.session


def is_shared(session: EngineSession) -> bool:
    """Whether this is still the program's session."""
    return _held is not None and _held.session is session


def _is_good(held: _Held, settings: Settings) -> bool:
    from drls_dagster.engine.state import is_serving

    if held.home != settings.home or held.process != os.getpid():
        return False
    return held.session.engine is None or is_serving(settings, held.session.engine_id)


def _at_exit() -> None:
    atexit.unregister(_at_exit)
    # Python 3.12 starts no thread from here on, and the last step of closing wants one: all others are done by then.
    with contextlib.suppress(RuntimeError):
        stop()


def _refuse_other(
    settings: Settings,
    executors: int | None,
    cores: int | None,
    memory: str | None,
    catalog: str | None,
    warehouse: str | None,
    uri: str | None,
) -> None:
    from drls_dagster.lakehouse.catalog_config import resolve_catalog

    there = resolve_catalog(settings)
    asked = (
        ("engine.executors", executors, settings.engine.executors),
        ("engine.cores", cores, settings.engine.cores),
        ("engine.memory", memory, settings.engine.memory),
        ("catalog.name", catalog, settings.catalog.name),
        ("catalog.warehouse", warehouse, there.warehouse),
        ("catalog.uri", uri, there.uri),
    )
    for name, wanted, found in asked:
        if wanted is not None and wanted != found:
            # An address may hold a password.
            shown = "another one" if name.startswith("catalog.") else f"{found}, not {wanted}"
            raise UsageError(
                f"init_spark: the settings of {settings.home} have {shown} as {name}; change it in drls.toml, or leave "
                "the argument out"
            )


def _set(session: SparkSession, name: str, value: Any) -> None:
    from pyspark.errors import PySparkException

    from drls_dagster.engine.session import first_line

    try:
        session.conf.set(name, value)
    except PySparkException as error:
        raise UsageError(
            f"init_spark: {name} cannot be set in a session: {first_line(error)}; set it in engine.spark_conf"
        ) from None
