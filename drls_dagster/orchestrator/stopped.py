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
    "production_promotions": (
        "approved requests are not executed, requests do not expire, and no notifications are sent"
    ),
    "production_reconcile": "dead runs and permits stay open, and unexplained writes are not found",
    **{f"{one.value}_deployments": f"{one.label} may run versions other than the deployed ones" for one in Environment},
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
        _LOG.warning("cannot read from Dagster's storage which sensors are stopped: %s", error)
        return ("Dagster's storage cannot be read, so it is unknown whether a sensor is stopped; see DRLS_HOME/logs",)
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
