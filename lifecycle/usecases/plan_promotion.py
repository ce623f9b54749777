"""Plan: what promoting a version would be now, who may approve it, and what blocks it."""

from __future__ import annotations

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.planning import Planning, planning
from lifecycle.domain.roles import Role
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require, target_of
from lifecycle.usecases.parts.plan_facts import data_facts, store_facts


def plan_promotion(ctx: Context, actor: Actor, name: str, number: int, target: Environment) -> Planning:
    """Changes nothing; the plan's digest is what a request made now would ask to approve."""
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        version = view.pipelines.numbered(pipeline, number)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "planning a promotion")
        store = store_facts(view, pipeline, version, target, requester=actor.person)
        now = view.now
    return planning(store, data_facts(ctx.plane, store), now)
