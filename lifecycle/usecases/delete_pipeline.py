"""Delete: a tombstone; versions, audit and the reserved name stay (L16)."""

from __future__ import annotations

from lifecycle.domain.environment import Environment, Role
from lifecycle.domain.people import Actor
from lifecycle.domain.version import Pipeline
from lifecycle.errors import Refused
from lifecycle.usecases.access import require, target_of
from lifecycle.usecases.context import Context
from lifecycle.usecases.switch import deactivate, ending, require_no_execution


def delete_pipeline(ctx: Context, actor: Actor, name: str, *, key: str | None = None) -> Pipeline:
    """Ends what is active in development and QA. Refused while UAT or production runs it."""
    with ctx.store.write(actor, "delete_pipeline", key=key, command={"name": name}) as unit:
        earlier = unit.earlier(Pipeline)
        if earlier is not None:
            return earlier
        pipeline = unit.pipelines.named(name)
        require(unit, actor, Role.LEAD, target_of(unit, pipeline), "deleting a pipeline")
        require_no_execution(unit, pipeline, *Environment)
        for deployment in unit.deployments.active_everywhere(pipeline.id):
            if deployment.environment.governed:
                where = deployment.environment.value
                raise Refused(f"{name} is active in {where}; demote or retire it there first")
            deactivate(unit, pipeline, deployment, "the pipeline was deleted", ending(unit, deployment))
        unit.pipelines.bury(pipeline, actor.person)
        unit.audit("pipeline.deleted", f"pipeline:{name}")
        return unit.remember(unit.pipelines.get(pipeline.id))
