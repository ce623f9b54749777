"""Delete: a tombstone; versions, audit and the reserved name stay (L16)."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.domain.checklist import Check, refuse
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Deployment, Pipeline
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, role_check, target_of
from lifecycle.usecases.parts.activation import Ending, deactivate, ending, execution_check


@dataclass(frozen=True, slots=True)
class Deletion:
    """What deleting would do now: which deployments end, what ends with each, and the tables that stay behind."""

    checks: tuple[Check, ...]
    ends: tuple[tuple[Deployment, Ending], ...]
    tables: tuple[str, ...]


def plan_deletion(ctx: Context, actor: Actor, name: str) -> Deletion:
    """What `delete_pipeline` would do, and what it would refuse; changes nothing."""
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "planning a deletion")
        newest = view.pipelines.newest(pipeline.id)
        ends = tuple(
            (one, ending(view, one))
            for one in view.deployments.active_everywhere(pipeline.id)
            if not one.environment.governed
        )
        tables = view.pipelines.tables(newest.id) if newest is not None else ()
        return Deletion(checks=deletion_checks(view, actor, pipeline), ends=ends, tables=tables)


def deletion_checks(view: View, actor: Actor, pipeline: Pipeline) -> tuple[Check, ...]:
    """What deleting asks for."""
    return (
        role_check(view, actor, Role.LEAD, target_of(view, pipeline), "deleting a pipeline"),
        execution_check(view, pipeline, *Environment),
        *(_inactive_check(view, pipeline, one) for one in Environment if one.governed),
    )


def delete_pipeline(ctx: Context, actor: Actor, name: str, *, key: str | None = None) -> Pipeline:
    """Ends what is active in development and QA. Refused while UAT or production runs it."""
    with ctx.store.write(actor, "delete_pipeline", key=key, command={"name": name}) as unit:
        earlier = unit.earlier(Pipeline)
        if earlier is not None:
            return earlier
        pipeline = unit.pipelines.named(name)
        refuse(deletion_checks(unit, actor, pipeline))
        for deployment in unit.deployments.active_everywhere(pipeline.id):
            deactivate(unit, pipeline, deployment, "the pipeline was deleted", ending(unit, deployment))
        unit.pipelines.bury(pipeline, actor.person)
        unit.audit("pipeline.deleted", f"pipeline:{name}")
        return unit.remember(unit.pipelines.get(pipeline.id))


def _inactive_check(view: View, pipeline: Pipeline, environment: Environment) -> Check:
    if view.deployments.active(pipeline.id, environment) is not None:
        return Check(False, f"{pipeline.name} is active in {environment.label}; demote or retire it there first")
    return Check(True, f"{pipeline.name} is not active in {environment.label}")
