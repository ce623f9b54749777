"""A pipeline's cron schedule, which starts runs where the policy of the environment says so (L4)."""

from __future__ import annotations

import dagster as dg
from dagster import partition_loading_context

from drls_dagster.assets.partitions import partitions_definition
from drls_dagster.runs.admission import lifecycle_of
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Policy
from lifecycle.spec import PipelineSpec
from lifecycle.usecases.automation import schedules_run


def schedules_of(
    spec: PipelineSpec, environment: Environment, settings: Settings, *, starts: bool
) -> list[dg.ScheduleDefinition]:
    """The schedule, if the pipeline has one. `starts`: whether it runs without anybody starting it.

    Dagster keeps the state that somebody gave a schedule by hand; so each tick asks the policy again.
    """
    if spec.schedule is None:
        return []
    partitions = partitions_definition(spec)

    @dg.schedule(
        name=f"{spec.name}_schedule",
        job_name=spec.name,
        cron_schedule=spec.schedule.cron,
        execution_timezone=spec.schedule.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if starts else dg.DefaultScheduleStatus.STOPPED,
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if not _may_start(settings, environment, spec.name):
            where = environment.label
            return dg.SkipReason(f"the policy does not run schedules in {where}; an Admin can change it")
        at = context.scheduled_execution_time
        if partitions is None:
            return dg.RunRequest(run_key=at.isoformat())
        with partition_loading_context(at):
            key = partitions.get_last_partition_key()
        if key is None:
            return dg.SkipReason("no partition is complete yet")
        return dg.RunRequest(run_key=f"{key}@{at.isoformat()}", partition_key=key)

    return [schedule]


def _may_start(settings: Settings, environment: Environment, name: str) -> bool:
    """Raises GateRefused where the lifecycle cannot be asked: the tick fails, and says so."""
    ctx = lifecycle_of(settings)
    if ctx is not None:
        with ctx.store.read() as view:
            if view.pipelines.find(name) is not None:
                return schedules_run(view, environment, name)
    return Policy().schedules_run(environment)
