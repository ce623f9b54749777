"""The `dbt` step: a command of our own, fenced like any other, that builds a dbt project on the inputs (ADR 50)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from drls_dagster.engine.command_process import CommandFailed
from drls_dagster.steps import custom
from drls_dagster.steps.reported import Report
from drls_dagster.steps.spark import StepFailed
from lifecycle.spec import CustomTransform, DbtTransform

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from drls_dagster.steps.frames import Frames
    from drls_dagster.steps.run import PipelineRun, Reads

_COMMAND = ("python", "-P", "-m", "drls_dagster.engine.dbt_project")
_PROBLEM = re.compile(r"it ended with exit code 2: (.*)", re.DOTALL)


class DbtCommand(CustomTransform):
    """The command that a dbt step is."""

    called: ClassVar[str] = "dbt"
    infers: ClassVar[bool] = True


def refused(_: DbtTransform) -> str | None:
    """Why this installation does not run it."""
    if find_spec("dbt") is None or find_spec("dbt.adapters.duckdb") is None:
        return "dbt is not installed here; install it: pip install 'drls-dagster[dbt]'"
    return None


def build(frames: Frames, node: DbtTransform, reads: Reads) -> DataFrame:
    """The rows of the step's model."""
    try:
        return custom.build(frames, _command(node), reads, lambda: {"dbt": _asked(frames.run, node)})
    except CommandFailed as error:
        found = _PROBLEM.search(str(error))
        if found is None:
            raise
        raise StepFailed(f"dbt of node '{node.id}': {found[1]}") from None


def report(frames: Frames, node: DbtTransform, reads: Reads) -> Report:
    """What dbt's tests found, and what it says of the models."""
    return custom.report(frames, node, reads)


def _command(node: DbtTransform) -> DbtCommand:
    return DbtCommand(
        id=node.id,
        command=_COMMAND,
        output_schema=node.output_schema,
        checks=node.checks,
        resources=node.limits,
    )


def _asked(run: PipelineRun, node: DbtTransform) -> Mapping[str, Any]:
    """What to build. dbt's variables are the run's parameters, its partition, and what the step sets."""
    given: dict[str, Any] = dict(run.parameters)
    window = run.window
    if window is not None:
        given["drls_partition"] = ",".join(window.keys)
        if window.start is not None and window.end is not None:
            given |= {"drls_partition_start": window.start.isoformat(), "drls_partition_end": window.end.isoformat()}
    return {
        "project": node.project,
        "model": node.built_model,
        "select": list(node.selection),
        "exclude": node.exclude.split(),
        "vars": json.loads(json.dumps({**given, **node.vars}, default=str)),
        "memory": node.limits.memory_bytes,
    }
