"""A stopped sensor that keeps the installation in order is said loudly (finding 10; said nowhere on 0.1.0)."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from drls_dagster.cli.doctor_checks import sensors
from drls_dagster.cli.main import cli
from drls_dagster.dagster_private.automation import InstigatorStatus, InstigatorType
from drls_dagster.dagster_private.tried import (
    GrpcServerCodeLocationOrigin,
    InstigatorState,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
    SensorInstigatorData,
)
from drls_dagster.orchestrator.instance import instance_of, make_storage
from drls_dagster.orchestrator.stopped import WITHOUT, stopped_sensors
from drls_dagster.sensors import sensors_of
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment


def note(instance: dg.DagsterInstance, name: str, status: InstigatorStatus) -> None:
    """What Dagster keeps when somebody starts or stops a sensor of a location."""
    location = GrpcServerCodeLocationOrigin(host="localhost", port=4000, location_name=name.partition("_")[0])
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
    data = SensorInstigatorData(sensor_type=None)
    instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, status, data))


def test_where_there_is_no_dagster_nothing_is_stopped(drls_home: Path) -> None:
    assert stopped_sensors(load_settings(drls_home)) == ()
    assert sensors(load_settings(drls_home)).state == "ok"


def test_every_sensor_for_the_whole_installation_is_watched(drls_home: Path) -> None:
    found = {one.name for each in Environment for one in sensors_of(each, load_settings(drls_home), [])}
    assert found == WITHOUT.keys()


@pytest.mark.parametrize("name", ["production_promotions", "production_reconcile", "qa_deployments"])
def test_a_stopped_sensor_is_said_by_status_and_doctor(drls_home: Path, name: str) -> None:
    settings = load_settings(drls_home)
    make_storage(settings)
    instance = instance_of(settings)
    note(instance, name, InstigatorStatus.STOPPED)
    note(instance, "qa_sources", InstigatorStatus.STOPPED)
    note(instance, "uat_deployments", InstigatorStatus.RUNNING)
    (line,) = stopped_sensors(settings)
    assert f"The sensor {name} is stopped" in line
    assert WITHOUT[name] in line
    found = sensors(settings)
    assert (found.state, found.detail) == ("fail", line)
    shown = CliRunner().invoke(cli, ["status"])
    assert shown.exit_code == 0, shown.output
    assert line in shown.output
