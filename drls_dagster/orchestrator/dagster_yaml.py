"""The Dagster instance with the gate in it: what dagster.yaml must contain, and whether it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

COORDINATOR = ("drls_dagster.gate.coordinator", "GatedRunCoordinator")
LAUNCHERS = (
    ("drls_dagster.gate.launcher", "GatedRunLauncher"),
    ("drls_dagster.gate.k8s_launcher", "GatedK8sRunLauncher"),
)
# What somebody's own dagster.yaml needs.
GATE_LINES = (
    "run_coordinator: {{module: {}, class: {}}}".format(*COORDINATOR),
    "run_launcher: {{module: {}, class: {}}}".format(*LAUNCHERS[0]),
)
DAGSTER_YAML = """\
# Written by drls; yours to change, but for the run coordinator and the launcher: through these every launch asks the
# lifecycle whether it may run. `drls doctor` says when they are missing.
telemetry: {enabled: false}
nux: {enabled: false}
run_coordinator:
  module: drls_dagster.gate.coordinator
  class: GatedRunCoordinator
  config:
    max_concurrent_runs: 4
    dequeue_interval_seconds: 1
    tag_concurrency_limits:
      - {key: drls/lane, value: {applyLimitPerUniqueValue: true}, limit: 1}
run_launcher:
  module: drls_dagster.gate.launcher
  class: GatedRunLauncher
"""
# What drls wrote before there was a gate.
_UNGATED = """\
# Written by drls at its first run; yours to change.
telemetry: {enabled: false}
nux: {enabled: false}
"""


def write_dagster_yaml(folder: Path) -> None:
    """Makes `folder`/dagster.yaml, or brings one up to date that nobody has changed."""
    file = folder / "dagster.yaml"
    if not file.exists() or file.read_text() == _UNGATED:
        fresh = file.with_name(".dagster.yaml.new")
        fresh.write_text(DAGSTER_YAML)
        fresh.replace(file)


def missing_gate(file: Path) -> list[str]:
    """What of the gate is not in a dagster.yaml; empty when launches go through it."""
    try:
        found: Any = yaml.safe_load(file.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        return [f"cannot be read: {str(error).splitlines()[0]}"]
    if not isinstance(found, dict):
        return ["is not a mapping"]
    told: list[str] = []
    if _named(found.get("run_coordinator")) != COORDINATOR:
        told.append("the run coordinator is not DRLS's: launches are not checked")
    if _named(found.get("run_launcher")) not in LAUNCHERS:
        told.append("the run launcher is not DRLS's: runs revoked in the queue still start")
    return told


def _named(section: Any) -> tuple[Any, Any]:
    return (section.get("module"), section.get("class")) if isinstance(section, dict) else (None, None)
