"""Demote: a version leaves UAT; QA gets it back only if QA is free (L1)."""

from __future__ import annotations

from lifecycle.domain.environment import Environment, Role
from lifecycle.domain.people import Actor
from lifecycle.domain.version import Deployment, Label
from lifecycle.errors import Invalid, Refused
from lifecycle.usecases.access import require, target_of
from lifecycle.usecases.context import Context
from lifecycle.usecases.holding import refuse_when_frozen
from lifecycle.usecases.switch import activate, deactivate, require_no_execution


def demote_version(
    ctx: Context, actor: Actor, name: str, number: int, *, reason: str, key: str | None = None
) -> Deployment:
    """The UAT deployment that ended. Its runs are revoked, its open requests withdrawn."""
    if not reason.strip():
        raise Invalid("a demotion needs a reason: say what is wrong with the version")
    command = {"name": name, "version": number, "reason": reason}
    with ctx.store.write(actor, "demote_version", key=key, command=command) as unit:
        earlier = unit.earlier(Deployment)
        if earlier is not None:
            return earlier
        pipeline = unit.pipelines.named(name)
        version = unit.pipelines.numbered(pipeline, number)
        require(unit, actor, Role.LEAD, target_of(unit, pipeline), "demoting a version")
        refuse_when_frozen(unit, Environment.UAT, pipeline)
        require_no_execution(unit, pipeline, Environment.QA, Environment.UAT)
        active = unit.deployments.active(pipeline.id, Environment.UAT)
        if active is None or active.version_id != version.id:
            raise Refused(f"{name} v{number} is not active in uat; there is nothing to demote")
        deactivate(unit, pipeline, active, f"demoted: {reason}", revoke=True)
        if unit.deployments.active(pipeline.id, Environment.QA) is None:
            activate(unit, pipeline, version, Environment.QA, reason="demote", label=Label.FREE)
        unit.remember(active)
    ctx.orchestrator.deployments_changed(Environment.UAT)
    ctx.orchestrator.deployments_changed(Environment.QA)
    return active
