"""What runs automatically. A push is faster; a sensor catches what a push missed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import dagster as dg

from drls_dagster.lakehouse.catalog import catalog_locations
from drls_dagster.lifecycle_client.gateway import open_lifecycle
from drls_dagster.sensors.deployments import deployments_sensor
from drls_dagster.sensors.promotions import promotions_sensor
from drls_dagster.sensors.reconcile import reconcile_sensor
from drls_dagster.sensors.sources import sources_sensor
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.spec import PipelineSpec, digest
from lifecycle.usecases.automation import schedules_run
from lifecycle.usecases.loaded import DRAFT

__all__ = ["schedules_run", "sensors_of"]


def sensors_of(
    environment: Environment,
    settings: Settings,
    specs: Sequence[PipelineSpec],
    *,
    drafts: Collection[str] = (),
    starting: Collection[str] = (),
) -> list[dg.SensorDefinition]:
    """The sensors of a code location that loaded `specs`: with their lock, as they are deployed.

    `drafts` names those of which an unsaved file was loaded, `starting` those whose schedules run automatically.
    What is for the whole installation is in production's location only.
    """
    sources = sources_sensor(environment, specs, lambda: open_lifecycle(settings), lambda: catalog_locations(settings))
    loaded = {**{spec.name: digest(spec) for spec in specs}, **dict.fromkeys(drafts, DRAFT)}
    scheduled = [spec.name for spec in specs if spec.schedule is not None]
    found = [
        deployments_sensor(
            environment,
            loaded,
            lambda: open_lifecycle(settings),
            scheduled=scheduled,
            starting={*starting} & {*scheduled},
        )
    ]
    if sources is not None:
        found.append(sources)
    if environment == Environment.PRODUCTION:
        found.append(promotions_sensor(environment, settings, lambda: open_lifecycle(settings)))
        found.append(reconcile_sensor(environment, settings, lambda: open_lifecycle(settings)))
    return found
