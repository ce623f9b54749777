"""Runs of pipelines that a benchmark writes, through Dagster, in its own process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.lab import Lab, run_seconds
from drls_dagster.launch.choices import select_nodes
from drls_dagster.launch.find import find_pipeline
from drls_dagster.launch.progress import RunOutcome
from drls_dagster.launch.run import launch
from lifecycle.domain.environment import Environment


def written(folder: Path, name: str, nodes: Sequence[Mapping[str, Any]], *edges: tuple[str, str]) -> Path:
    """A pipeline file."""
    flow = [{"from": start, "to": end} for start, end in edges]
    file = folder / f"{name}.yaml"  # JSON is YAML
    file.write_text(json.dumps({"format_version": 1, "name": name, "nodes": list(nodes), "edges": flow}))
    return file


def overwriting(node: str, table: str) -> dict[str, Any]:
    return {"id": node, "type": "sink", "table": table, "mode": "overwrite"}


def launched(lab: Lab, file: Path, parameters: Mapping[str, Any] | None = None) -> RunOutcome:
    """A run in development. Raises RuntimeError when it failed."""
    loaded = find_pipeline(str(file), lab.settings)
    assert loaded.spec is not None, loaded
    outcome = launch(
        loaded,
        lab.settings,
        Environment.DEVELOPMENT,
        nodes=select_nodes(loaded.spec, None),
        parameters=parameters or {},
        partitions=None,
    )
    run_seconds(outcome)
    return outcome
