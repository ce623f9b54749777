"""DRLS's code locations as they would be with Dagster's default interval between two evaluations of a sensor."""

from __future__ import annotations

from drls_dagster.dagster_private.tried import DEFAULT_SENSOR_DAEMON_INTERVAL
from drls_dagster.definitions import development, production, qa, uat
from drls_dagster.sensors import deployments, promotions

deployments.SECONDS = promotions.SECONDS = DEFAULT_SENSOR_DAEMON_INTERVAL

__all__ = ["development", "production", "qa", "uat"]
