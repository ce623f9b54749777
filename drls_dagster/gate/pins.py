"""Which versions a code location was built of, carried with each run to the process that runs it.

Dagster hands the metadata of a code location to the run worker (reconstruction metadata, a private part of Dagster
of which one test keeps watch), so a run that was queued keeps its version though another is deployed meanwhile.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from types import FrameType

from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster._core.snap.execution_plan_snapshot import ExecutionPlanSnapshot

from drls_dagster.tags import PIPELINE_TAG

_KEY = "drls/{}"


def pinned(environment: str) -> Mapping[str, str] | None:
    """Digests by pipeline that this process is to build again; None where it builds what is deployed now."""
    context = DefinitionsLoadContext.get()
    if context.load_type is not DefinitionsLoadType.RECONSTRUCTION:
        return None
    text = context.reconstruction_metadata.get(_KEY.format(environment))
    return None if text is None else json.loads(text)


def pin(environment: str, digests: Mapping[str, str]) -> None:
    """Says what was built. Needed at both loads: the code server builds twice."""
    context = DefinitionsLoadContext.get()
    context.add_to_pending_reconstruction_metadata(_KEY.format(environment), json.dumps(dict(sorted(digests.items()))))


def pipelines_of_this_run() -> tuple[str, ...] | None:
    """The pipelines of the run that this process was started for; None when it was started for more than a run.

    Dagster tells a loader nothing about the run it loads for, so the caller that knows is looked up on the stack.
    Where it is not found, everything is built: slower, and right.
    """
    frame: FrameType | None = sys._getframe()  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        if frame.f_code.co_name == "core_execute_run":
            plan = frame.f_locals.get("execution_plan_snapshot")
            return pipelines_of(plan) if isinstance(plan, ExecutionPlanSnapshot) else None
        frame = frame.f_back
    return None


def pipelines_of(plan: ExecutionPlanSnapshot) -> tuple[str, ...] | None:
    """The pipelines that a plan's steps belong to; None when a step belongs to none."""
    names = {(step.tags or {}).get(PIPELINE_TAG) for step in plan.steps}
    return tuple(sorted(name for name in names if name)) if None not in names else None
