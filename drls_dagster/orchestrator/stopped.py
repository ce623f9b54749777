"""Sensors that keep the installation in order and that somebody has stopped in Dagster."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from drls_dagster.orchestrator.instance import has_storage, instance_of
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    import dagster as dg

_LOG = logging.getLogger(__name__)
# By name: what does not happen while it is stopped.
WITHOUT = {
    "production_promotions": "approved requests are not executed, none expires, and no notification is sent",
    "production_reconcile": "runs and permits that died stay open, and foreign writes are not found",
    **{f"{one.value}_deployments": f"{one.label} may run other versions than are deployed" for one in Environment},
}


def stopped_sensors(settings: Settings) -> tuple[str, ...]:
    """A sentence for each that is stopped; nothing where there never was a Dagster. Never raises."""
    if not has_storage(settings):
        return ()
    from dagster import DagsterError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        names = _stopped(instance_of(settings))
    except (DagsterError, SQLAlchemyError, OSError) as error:
        _LOG.warning("Dagster's storage cannot be asked which sensors are stopped: %s", error)
        return ("Dagster's storage cannot be read, so nobody knows whether a sensor is stopped; see DRLS_HOME/logs",)
    return tuple(
        f"The sensor {name} is stopped: {WITHOUT[name]}. An Admin can start it in Dagster, under Automation"
        for name in sorted(names)
    )


def _stopped(instance: dg.DagsterInstance) -> set[str]:
    from drls_dagster.dagster_private.automation import InstigatorStatus, InstigatorType

    states = instance.all_instigator_state(
        instigator_type=InstigatorType.SENSOR, instigator_statuses={InstigatorStatus.STOPPED}
    )
    return {state.instigator_name for state in states} & WITHOUT.keys()
