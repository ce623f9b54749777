"""A code location of what is deployed in an environment, and in development of what nobody has saved yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import dagster as dg

from drls_dagster.errors import UsageError
from drls_dagster.gate.built_versions import (
    looks_after_tables,
    pin,
    pin_tables,
    pinned,
    pipelines_of_this_run,
    releases_of_this_run,
)
from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.locations.building import build_location
from drls_dagster.locations.maintenance import maintenance_of
from drls_dagster.locations.run_processes import strip_run_processes
from drls_dagster.locations.versions import load_deployed
from drls_dagster.pipeline_files import Loaded, load_file, load_folder
from drls_dagster.runs.admission import lifecycle_of
from drls_dagster.runs.releases import releases_of
from drls_dagster.sensors import sensors_of
from drls_dagster.sensors.health import health_sensor
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.spec import digest
from lifecycle.usecases.automation import policies_of, runs_by_itself


def load_environment(environment: Environment, settings: Settings, *, maintenance: bool = True) -> dg.Definitions:
    """The definitions of a code location. A process that executes one run builds that run's pipelines alone.

    `maintenance`: whether the location also looks after the environment's tables.
    Raises GateRefused where the lifecycle cannot be asked.
    """
    pins, only = pinned(environment), pipelines_of_this_run()
    releases = releases_of_this_run(settings, environment)
    loaded = load_deployed(environment, settings, pins=pins, only=only, releases=releases)
    pin(environment, pins or {one.name: digest(one.spec) for one in loaded if one.spec is not None})
    # The process of a run starts no schedule.
    starting = _starting(settings, environment, loaded) if only is None else set[str]()
    definitions = build_location(loaded, environment, settings, starting=starting)
    maintenance = maintenance and settings.maintenance.mode != "off"
    tables = IcebergTables(settings)
    if maintenance and (only is None or looks_after_tables()):
        written = {sink.table for one in loaded if one.spec is not None for sink in one.spec.sinks}
        sinks = pin_tables(environment, sorted(written))
        definitions = dg.Definitions.merge(definitions, maintenance_of(environment, settings, sinks))
    if only is not None:
        return definitions
    strip_run_processes(settings)
    specs = [one.spec for one in loaded if one.spec is not None and one.release is not None]
    drafts = [one.name for one in loaded if one.spec is not None and one.release is None]
    sensors = sensors_of(environment, settings, specs, drafts=drafts, starting=starting)
    if maintenance:
        sensors.append(health_sensor(environment, settings, lambda: tables))
    return dg.Definitions.merge(definitions, dg.Definitions(sensors=sensors))


def load_files(path: Path, environment: Environment, settings: Settings) -> dg.Definitions:
    """The definitions of a pipeline file, or of a folder of them, in somebody's own code location.

    A file runs above development while its content is what is deployed there. Raises UsageError for a path that is not
    there, GateRefused where the lifecycle cannot be asked.
    """
    if not path.exists():
        raise UsageError(f"there is no pipeline file or folder {path}")
    only = pipelines_of_this_run()
    files = load_folder(path) if path.is_dir() else [load_file(path)]
    wanted = [one for one in files if only is None or one.name in only]
    releases = releases_of_this_run(settings, environment)
    if releases is None:
        ctx = lifecycle_of(settings)
        releases = releases_of(ctx, environment, None, [one.name for one in wanted]) if ctx else []
    known = {(one.pipeline, one.digest): one for one in releases}
    loaded = [replace(one, release=known.get((one.name, digest(one.spec)))) if one.spec else one for one in wanted]
    starting = _starting(settings, environment, loaded) if only is None else set[str]()
    return build_location(loaded, environment, settings, starting=starting)


def _starting(settings: Settings, environment: Environment, loaded: Sequence[Loaded]) -> set[str]:
    """Whose schedules run automatically, as the policies say (L4)."""
    names = {one.name for one in loaded if one.spec is not None and one.spec.schedule is not None}
    ctx = lifecycle_of(settings) if names else None
    if ctx is None:
        return set()
    with ctx.store.read() as view:
        policy_of = policies_of(view, environment)
        ids = {name: pipeline.id for name in names if (pipeline := view.pipelines.find(name)) is not None}
        return {name for name, pipeline_id in ids.items() if runs_by_itself(policy_of(pipeline_id), environment)}
