"""What all sensors share: how they reach the lifecycle, and what they do while the outside is down."""

from __future__ import annotations

import threading
from collections.abc import Callable

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from drls_dagster.errors import DrlsError
from lifecycle.errors import LifecycleError
from lifecycle.usecases.context import Context

Gateway = Callable[[], Context]
Evaluation = dg.SensorResult | dg.SkipReason
# What a store, a catalog or a network does when it is down; anything else is a defect and shows as one.
OUTAGES = (LifecycleError, DrlsError, SQLAlchemyError, OSError)


def steady(
    name: str,
    evaluate: Callable[[dg.SensorEvaluationContext], Evaluation],
    *,
    seconds: int,
    description: str,
    jobs: tuple[str, ...] = (),
) -> dg.SensorDefinition:
    """A running sensor that skips, and keeps its cursor, as long as something that it needs is down.

    `seconds` is the least time between two evaluations, `jobs` the names of the jobs that it may start.
    """

    def sensor(context: dg.SensorEvaluationContext) -> Evaluation:
        try:
            return evaluate(context)
        except OUTAGES as error:
            return dg.SkipReason(f"{one_line(error)}; trying again")

    return _Sensor(
        jobs,
        name=name,
        evaluation_fn=sensor,
        minimum_interval_seconds=seconds,
        description=description,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )


class _Sensor(dg.SensorDefinition):
    """A sensor whose jobs are named: Dagster takes one name, but many only as definitions, which others own."""

    def __init__(self, jobs: tuple[str, ...], **values: object) -> None:
        from dagster._core.definitions.target import AutomationTarget

        super().__init__(**values)  # pyright: ignore[reportArgumentType]
        self._targets = [AutomationTarget(resolvable_to_job=job) for job in jobs]


class Background:
    """Work that may take longer than a tick should: one tick starts it, the next ones tell how it went."""

    def __init__(self, work: Callable[[], str]) -> None:
        self._work = work
        self._thread: threading.Thread | None = None
        self._told = ""
        self._error: Exception | None = None

    def tick(self) -> str:
        """What the last time brought; begins again when it is over. Raises what the work raised."""
        if self._thread is not None and self._thread.is_alive():
            return "still at work"
        told, error = self._told, self._error
        self._told, self._error = "", None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if error is not None:
            raise error
        return told or "started"

    def wait(self, seconds: float) -> None:
        """Waits until the work that was begun is over."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._told = self._work()
        except Exception as error:  # noqa: BLE001 (the next tick raises it)
            self._error = error


def one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text[:500] or type(error).__name__
