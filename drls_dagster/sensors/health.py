"""*health*: asks for maintenance where a table's score is below what its policy allows."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable

import dagster as dg

from drls_dagster.maintenance.rounds import Visit, go_round
from drls_dagster.sensors.steady import Background, Evaluation, steady
from drls_dagster.settings import Settings
from drls_dagster.tags import MAINTENANCE, MAINTENANCE_STEP, REASON_TAG
from lifecycle.domain.environment import Environment
from lifecycle.domain.table_policy import Automatic
from lifecycle.ports import Tables

SECONDS = 300
# A table that still needs it is asked for again after so long; somebody may have to look first.
AGAIN = 24 * 3600.0


def health_sensor(environment: Environment, settings: Settings, tables: Callable[[], Tables]) -> dg.SensorDefinition:
    """For the environment's own tables. Each is asked for once a day at most.

    The cursor holds when each was asked for last, in seconds since the epoch.
    """
    watch = _Watch(environment, settings, tables)
    return steady(
        f"{environment.value}_health",
        watch.evaluate,
        seconds=SECONDS,
        description="Asks for maintenance of tables whose health score is low.",
        jobs=(MAINTENANCE,),
    )


class _Watch:
    """Looking takes longer than a tick should, so one tick begins and the next one has what was found."""

    def __init__(self, environment: Environment, settings: Settings, tables: Callable[[], Tables]) -> None:
        self._environment = environment
        self._settings = settings
        self._tables = tables
        self._found: list[Visit] | None = None
        self._background = Background(self._look)

    def evaluate(self, context: dg.SensorEvaluationContext) -> Evaluation:
        told = self._background.tick()
        found, self._found = self._found, None
        if found is None:
            return dg.SkipReason(told)
        now = time.time()
        asked: dict[str, float] = json.loads(context.cursor) if context.cursor else {}
        asked = {name: at for name, at in asked.items() if now - at < AGAIN}
        low = sorted(one.name for one in found if _is_due(one) and one.name not in asked)
        if not low:
            return dg.SensorResult(skip_reason=told, cursor=json.dumps(asked))
        cursor = json.dumps(asked | dict.fromkeys(low, now))
        return dg.SensorResult(run_requests=[_request(low, now)], cursor=cursor)

    def _look(self) -> str:
        found = go_round(self._settings, self._tables(), self._environment)
        self._found = list(found)
        low = sum(one.needs_it for one in found)
        waiting = sum(one.needs_it and bool(one.policy.waits) for one in found)
        waits = f"; {waiting} of them wait for a maintenance window" if waiting else ""
        return f"{low} of {len(found)} tables need maintenance{waits}" if low else f"{len(found)} tables are healthy"


def _is_due(one: Visit) -> bool:
    """Whether to ask now. Where something would be done in a window, the window is waited for."""
    return one.needs_it and one.policy.mode is not Automatic.OFF and not one.policy.waits


def _request(names: list[str], now: float) -> dg.RunRequest:
    mark = hashlib.sha256(json.dumps([names, now]).encode()).hexdigest()[:16]
    config = {"ops": {MAINTENANCE_STEP: {"config": {"tables": names}}}}
    why = f"low health: {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return dg.RunRequest(
        run_key=f"health:{mark}", job_name=MAINTENANCE, run_config=config, tags={REASON_TAG: why[:250]}
    )
