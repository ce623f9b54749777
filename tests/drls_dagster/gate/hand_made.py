"""A code location that somebody starts by hand: it offers what its files say, whatever is deployed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import dagster as dg

from drls_dagster.assets.compile import compile_pipeline
from drls_dagster.assets.keys import node_key
from drls_dagster.assets.location import merge
from drls_dagster.settings import load_settings
from lifecycle.spec import parse_pipeline


def build() -> dg.Definitions:
    settings = load_settings()
    parts: list[dg.Definitions] = []
    sensors: list[dg.SensorDefinition] = []
    for file in sorted(Path(os.environ["HAND_MADE"]).glob("*.json")):
        said = json.loads(file.read_text())
        spec = parse_pipeline(said["spec"])
        key = node_key(spec, "kept", said["environment"], settings.catalog.name)
        parts.append(compile_pipeline(spec, said["environment"], settings))
        sensors.append(_sensor(spec.name, key))
    return dg.Definitions.merge(merge(parts), dg.Definitions(sensors=sensors))


def _sensor(name: str, key: dg.AssetKey) -> dg.SensorDefinition:
    @dg.asset_sensor(asset_key=key, job_name=name, name=f"{name}_sensor")
    def sensor(context: dg.SensorEvaluationContext, _event: dg.EventLogEntry) -> dg.RunRequest:
        return dg.RunRequest(run_key=context.cursor, partition_key="north")

    return sensor


if "HAND_MADE" in os.environ:
    defs = build()
