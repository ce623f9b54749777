"""Spark on Ray as a Dagster resource: one session of its own per run, on the warm engine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import dagster as dg
from dagster_pyspark import PySparkResource
from pydantic import Field, PrivateAttr

from drls_dagster.engine.session import EngineSession, close_session, open_session
from drls_dagster.engine.state import is_serving, lease
from drls_dagster.settings import Settings, load_settings


class Closing(Protocol):
    """What is closed when the run ends."""

    def close(self) -> None: ...


Scoped = TypeVar("Scoped", bound=Closing)


class SparkOnRay(PySparkResource):
    """A Spark Connect session on the engine of DRLS_HOME, which starts with the first step that needs it.

    `spark_session` is what PySparkResource offers, but never a session of another run (D2): temporary
    views and settings of one run cannot be seen by the next. When the engine is lost during a run, the
    next step gets a new session on a new engine.
    """

    spark_config: dict[str, Any] = Field(default_factory=dict, description="Session settings, on top of the engine's")
    home: str | None = Field(None, description="DRLS_HOME; default: the environment's")

    _stack: ExitStack = PrivateAttr(default_factory=ExitStack)
    _session: EngineSession | None = PrivateAttr(default=None)
    _scoped: dict[object, Closing] = PrivateAttr(default_factory=dict)
    # No function as default: pydantic would take it for a method, and what is assigned would not be seen.
    _log: Callable[[str], None] | None = PrivateAttr(default=None)

    @classmethod
    def _is_dagster_maintained(cls) -> bool:
        return False

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        if context.log is not None:
            self._log = context.log.info

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        for scoped in self._scoped.values():
            scoped.close()
        self._scoped.clear()
        if self._session is not None:
            close_session(self._session)
            self._session = None
        self._stack.close()

    @property
    def settings(self) -> Settings:
        return load_settings(Path(self.home) if self.home else None)

    @property
    def spark_session(self) -> Any:
        return self.session().spark

    def session(self) -> EngineSession:
        """The run's session, opened at first use. Raises EngineError."""
        if self._session is None or self._is_lost(self._session):
            if self._session is None:
                self._stack.enter_context(lease(self.settings))
            else:
                close_session(self._session)
            self._session = open_session(self.settings, self._report)
            for key, value in self.spark_config.items():
                self._session.spark.conf.set(key, str(value))
        return self._session

    def _is_lost(self, session: EngineSession) -> bool:
        return session.engine is not None and not is_serving(self.settings, session.engine_id)

    def _report(self, detail: str) -> None:
        if self._log is not None:
            self._log(f"engine: {detail}")

    def scoped(self, key: object, make: Callable[[], Scoped]) -> Scoped:
        """What steps of one run in one process share, made once and closed before the session."""
        if key not in self._scoped:
            self._scoped[key] = make()
        return cast(Scoped, self._scoped[key])
