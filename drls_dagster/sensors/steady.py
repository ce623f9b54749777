"""What all sensors share: how they reach the lifecycle, and what they do while the outside is down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import dagster as dg

from lifecycle.errors import DrlsError, Invalid, is_refusal, one_line
from lifecycle.outages import is_outage
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.rounds import Trouble, shown, troubles

Gateway = Callable[[], Context]
Evaluation = dg.SensorResult | dg.SkipReason


class ItemsFailed(DrlsError):
    """Some items of a round could not be handled, and not because of an outage; the others were."""


def steady(
    name: str,
    evaluate: Callable[[dg.SensorEvaluationContext], Evaluation],
    *,
    seconds: int,
    description: str,
    jobs: tuple[str, ...] = (),
) -> dg.SensorDefinition:
    """A running sensor that skips, and keeps its cursor, as long as something that it needs is down.

    What the rules refuse is a line too. Anything else, such as a wrong setting or a defect, fails the tick.

    `seconds` is the least time between two evaluations, `jobs` the names of the jobs that it may start.
    """

    def sensor(context: dg.SensorEvaluationContext) -> Evaluation:
        try:
            return evaluate(context)
        except Exception as error:
            if is_outage(error):
                return dg.SkipReason(f"{one_line(error)}; trying again")
            # What is wrong with a setting has the status of wrong input: somebody must look.
            if isinstance(error, DrlsError) and is_refusal(error) and error.status != Invalid.status:
                return dg.SkipReason(f"refused: {one_line(error)}")
            raise

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
        from drls_dagster.dagster_private.automation import AutomationTarget

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
            return "still working"
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


def told_of(ctx: Context, done: Sequence[str], *rounds: str) -> str:
    """What a round brought, and what failed in it, in words; empty when nothing happened.

    Raises ItemsFailed with the same words when something failed that no waiting puts right.
    """
    with ctx.store.read() as view:
        failed = troubles(view, *rounds)
    words = "; ".join([*filter(None, done), *shown(failed)])
    if any(is_failure(one) for one in failed):
        raise ItemsFailed(words)
    return words


def is_failure(trouble: Trouble) -> bool:
    return trouble.kind == "failure"
