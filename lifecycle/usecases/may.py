"""The gate's question: may this version run here? (read only, answered in well under 2 ms)"""

from __future__ import annotations

from lifecycle.domain.environment import Environment
from lifecycle.domain.gate import Action, Answer, decide
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.version import Pipeline, Version
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.specs import is_intact


def may(
    ctx: Context,
    name: str,
    digest: str,
    environment: Environment,
    action: Action,
    *,
    run_id: str | None = None,
) -> Answer:
    """Whether `action` is allowed for the version with `digest` of the pipeline `name`, and why not.

    RUN and PUBLISH ask the admission of `run_id`, not the deployment: an admitted run keeps its version.
    """
    with ctx.store.read() as view:
        pipeline = view.pipelines.find(name)
        if pipeline is None or pipeline.deleted_at is not None:
            return Answer(
                allowed=False, reason=f"there is no pipeline {name}; save it with drls pipeline save"
            )
        return ask(
            view,
            pipeline,
            view.pipelines.with_digest(pipeline.id, digest),
            environment,
            action,
            run_id=run_id,
        )


def ask(
    view: View,
    pipeline: Pipeline,
    version: Version | None,
    environment: Environment,
    action: Action,
    *,
    run_id: str | None = None,
) -> Answer:
    """The same inside a transaction."""
    active = view.deployments.active(pipeline.id, environment)
    is_active = active is not None and version is not None and active.version_id == version.id
    other = None if active is None or is_active else view.pipelines.version(active.version_id).number
    return decide(
        action,
        environment,
        name=pipeline.name,
        number=version.number if version else None,
        intact=version is not None and is_intact(version),
        active=active,
        active_number=other,
        is_active=is_active,
        stop=view.policies.holding(HoldKind.STOP, environment, pipeline.id),
        admission=view.runs.admission(run_id, pipeline.id) if run_id else None,
    )
