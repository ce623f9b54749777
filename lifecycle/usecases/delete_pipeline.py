"""Delete: a tombstone; versions, audit and the reserved name stay (L16)."""

from __future__ import annotations

from collections.abc import Iterable

from lifecycle.domain.environment import Environment, Role
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.promotion import Promotion
from lifecycle.domain.version import Deployment, Pipeline
from lifecycle.errors import Conflict, Refused
from lifecycle.usecases.access import require, target_of
from lifecycle.usecases.context import Context
from lifecycle.usecases.switch import deactivate, require_no_execution


class Deletion(Frozen):
    """What deleting would do now: where it would end the active version, and which requests with it.

    `blocked` is everything that stands in the way, each with what would help.
    """

    ends: tuple[Deployment, ...]
    withdraws: tuple[Promotion, ...]
    blocked: tuple[str, ...]


def plan_deletion(ctx: Context, actor: Actor, name: str) -> Deletion:
    """What people are shown before they delete."""
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        require(view, actor, Role.LEAD, target_of(view, pipeline), "deleting a pipeline")
        try:
            require_no_execution(view, pipeline, *Environment)
            executing = ()
        except Conflict as error:
            executing = (error.message,)
        active = view.deployments.active_everywhere(pipeline.id)
        ends = tuple(one for one in active if not one.environment.governed)
        withdraws = tuple(
            request
            for one in ends
            for request in view.promotions.open_for_version(one.version_id)
            if request.plan.source is one.environment
        )
        return Deletion(ends=ends, withdraws=withdraws, blocked=(*executing, *_governed(name, active)))


def _governed(name: str, active: Iterable[Deployment]) -> Iterable[str]:
    for one in active:
        if one.environment.governed:
            yield f"{name} is active in {one.environment.value}; demote or retire it there first"


def delete_pipeline(ctx: Context, actor: Actor, name: str, *, key: str | None = None) -> Pipeline:
    """Ends what is active in development and QA. Refused while UAT or production runs it."""
    with ctx.store.write(actor, "delete_pipeline", key=key, command={"name": name}) as unit:
        earlier = unit.earlier(Pipeline)
        if earlier is not None:
            return earlier
        pipeline = unit.pipelines.named(name)
        require(unit, actor, Role.LEAD, target_of(unit, pipeline), "deleting a pipeline")
        require_no_execution(unit, pipeline, *Environment)
        active = unit.deployments.active_everywhere(pipeline.id)
        for problem in _governed(name, active):
            raise Refused(problem)
        for deployment in active:
            deactivate(unit, pipeline, deployment, "the pipeline was deleted", revoke=True)
        unit.pipelines.bury(pipeline, actor.person)
        unit.audit("pipeline.deleted", f"pipeline:{name}")
        return unit.remember(unit.pipelines.get(pipeline.id))
