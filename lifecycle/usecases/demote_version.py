"""Demote: a version leaves UAT; QA gets it back only if QA is free (L1)."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.domain.checklist import Check, refuse
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Deployment, Label, Pipeline, Version
from lifecycle.errors import Invalid
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.holding import freeze_check
from lifecycle.usecases.parts.access import require, role_check, target_of
from lifecycle.usecases.parts.activation import Ending, activate, active_check, deactivate, ending, execution_check
from lifecycle.usecases.parts.following import reload


@dataclass(frozen=True, slots=True)
class Demotion:
    """What demoting would do now. `ends` is None where there is nothing to demote.

    `in_qa` is the version that is active in QA and stays; None: the demoted one is active there again.
    """

    version: Version
    checks: tuple[Check, ...]
    ends: Deployment | None
    ending: Ending
    in_qa: Version | None


def plan_demotion(ctx: Context, actor: Actor, name: str, number: int) -> Demotion:
    """What `demote_version` would do, and what it would refuse; changes nothing."""
    with ctx.store.read() as view:
        pipeline = view.pipelines.named(name)
        require(view, actor, Role.VIEWER, target_of(view, pipeline), "planning a demotion")
        version = view.pipelines.numbered(pipeline, number)
        active = view.deployments.active(pipeline.id, Environment.UAT)
        ends = active if active is not None and active.version_id == version.id else None
        in_qa = view.deployments.active(pipeline.id, Environment.QA)
        return Demotion(
            version=version,
            checks=demote_checks(view, actor, pipeline, version),
            ends=ends,
            ending=ending(view, ends) if ends else Ending(),
            in_qa=view.pipelines.version(in_qa.version_id) if in_qa else None,
        )


def demote_checks(view: View, actor: Actor, pipeline: Pipeline, version: Version) -> tuple[Check, ...]:
    """What demoting `version` asks for, apart from a reason."""
    return (
        role_check(view, actor, Role.LEAD, target_of(view, pipeline), "demoting a version"),
        freeze_check(view, Environment.UAT, pipeline),
        execution_check(view, pipeline, Environment.QA, Environment.UAT),
        active_check(view, pipeline, version, Environment.UAT, "demote"),
    )


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
        refuse(demote_checks(unit, actor, pipeline, version))
        active = unit.deployments.active(pipeline.id, Environment.UAT)
        assert active is not None  # noqa: S101 (one of the checks)
        deactivate(unit, pipeline, active, f"demoted: {reason}", ending(unit, active))
        if unit.deployments.active(pipeline.id, Environment.QA) is None:
            activate(unit, pipeline, version, Environment.QA, reason="demote", label=Label.FREE)
        unit.remember(active)
    reload(ctx, Environment.UAT, Environment.QA)
    return active
