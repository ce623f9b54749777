"""What the steps of a run say of themselves: it comes from the definitions that the code location has built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun


def step_tags(
    instance: DagsterInstance, run: DagsterRun, *, chosen_only: bool = True
) -> Mapping[str, Mapping[str, str]]:
    """By step, its own tags, which no caller can set; of the steps that the run executes, or of all in its plan."""
    if run.execution_plan_snapshot_id is None:
        return {}
    plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
    chosen = set(plan.step_keys_to_execute)
    return {step.key: step.tags or {} for step in plan.steps if not chosen_only or step.key in chosen}
