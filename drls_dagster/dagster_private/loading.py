"""How a code location is loaded: what travels to the run worker, and which run it is loaded for."""

from __future__ import annotations

import sys
from types import FrameType

from dagster import DagsterRun
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster._core.snap.execution_plan_snapshot import ExecutionPlanSnapshot

# The function of dagster._grpc.impl that executes a run, and its variables that hold the run and its plan.
RUNS_A_RUN = "core_execute_run"
ITS_RUN = "dagster_run"
ITS_PLAN = "execution_plan_snapshot"


def plan_of_this_run() -> ExecutionPlanSnapshot | None:
    """The execution plan of the run that this process was started for; None when it was started for more than a run.

    Dagster tells a loader nothing about the run that it loads for, so this searches the stack for the caller.
    """
    plan = _of_this_run(ITS_PLAN)
    return plan if isinstance(plan, ExecutionPlanSnapshot) else None


def id_of_this_run() -> str | None:
    """The id of the run that this process was started for; None when it was started for more than a run."""
    run = _of_this_run(ITS_RUN)
    return run.run_id if isinstance(run, DagsterRun) else None


def _of_this_run(variable: str) -> object:
    frame: FrameType | None = sys._getframe()  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        if frame.f_code.co_name == RUNS_A_RUN:
            return frame.f_locals.get(variable)
        frame = frame.f_back
    return None
