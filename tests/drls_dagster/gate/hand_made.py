"""A code location that somebody starts by hand: it offers what its files say, whatever is deployed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from drls_dagster.asset_keys import node_key
from drls_dagster.assets.compile import compile_pipeline
from drls_dagster.locations.building import merge
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment
from lifecycle.spec import parse_pipeline


def build() -> dg.Definitions:
    settings = load_settings()
    parts: list[dg.Definitions] = []
    sensors: list[dg.SensorDefinition] = []
    automatic: list[dg.AssetKey] = []
    for file in sorted(Path(os.environ["HAND_MADE"]).glob("*.json")):
        said = json.loads(file.read_text())
        spec, environment = parse_pipeline(said["spec"]), Environment(said["environment"])
        key = node_key(spec, "kept", environment, settings.catalog.name)
        parts.append(compile_pipeline(spec, environment, settings))
        sensors += [_sensor(spec.name, key), _automation(spec.name, key)]
        automatic.append(key)
    made = merge(parts).map_asset_specs(func=lambda spec: _with_condition(spec, automatic))
    return dg.Definitions.merge(made, dg.Definitions(sensors=sensors))


def _sensor(name: str, key: dg.AssetKey) -> dg.SensorDefinition:
    @dg.asset_sensor(asset_key=key, job_name=name, name=f"{name}_sensor")
    def sensor(context: dg.SensorEvaluationContext, _event: dg.EventLogEntry) -> dg.RunRequest:
        return dg.RunRequest(run_key=context.cursor, partition_key="north")

    return sensor


def _automation(name: str, key: dg.AssetKey) -> dg.SensorDefinition:
    return dg.AutomationConditionSensorDefinition(f"{name}_automation", target=[key], emit_backfills=False)


def _with_condition(spec: dg.AssetSpec, keys: Sequence[dg.AssetKey]) -> dg.AssetSpec:
    """A sink that Dagster's automation asks for as long as it has no data."""
    if spec.key not in keys:
        return spec
    wanted = dg.AutomationCondition.missing() & ~dg.AutomationCondition.in_progress()
    return spec.replace_attributes(automation_condition=wanted)


if "HAND_MADE" in os.environ:
    defs = build()
