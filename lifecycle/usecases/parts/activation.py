"""Changing what is active, with everything that follows from it (L1, L10). Inside one unit of work."""

from __future__ import annotations

from dataclasses import dataclass

from lifecycle.domain.checklist import Check, refuse
from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import Ended, Promotion, State
from lifecycle.domain.run import Admission, AdmissionState, Permit, PermitState
from lifecycle.domain.version import Deployment, Label, Pipeline, Version
from lifecycle.errors import Conflict
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.parts.outbox import tell


@dataclass(frozen=True, slots=True)
class Revocation:
    """Runs whose admission is revoked, so that they publish nothing more, and permits that nobody has used."""

    runs: tuple[Admission, ...] = ()
    permits: tuple[Permit, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """What goes with a deployment that ends: the open requests that start from it, runs and permits."""

    requests: tuple[Promotion, ...] = ()
    revoked: Revocation = Revocation()


def ending(view: View, deployment: Deployment, *, running: bool = True) -> Ending:
    """What ends with a deployment that is removed; `running` False: runs that have started continue."""
    return Ending(_requests(view, deployment), _revoked(view, deployment, running=running))


def superseding(view: View, before: Deployment) -> Ending:
    """What ends with a deployment that another version takes over (L10)."""
    production = before.environment is Environment.PRODUCTION
    return Ending(_requests(view, before), _revoked(view, before, running=False) if production else Revocation())


def revocation(view: View, pipeline_id: int | None, environment: Environment, *, running: bool) -> Revocation:
    """Admissions (of queued runs, with `running` of all) and every unused permit, of one pipeline or of all."""
    return Revocation(
        tuple(
            admission
            for admission in view.runs.live_admissions(pipeline_id, environment)
            if running or admission.state is AdmissionState.QUEUED
        ),
        view.runs.live_permits(pipeline_id, environment),
    )


def activate(
    unit: Unit,
    pipeline: Pipeline,
    version: Version,
    environment: Environment,
    *,
    reason: str,
    label: Label,
    promotion_id: int | None = None,
) -> Deployment:
    """Makes `version` the active one; the one before is superseded. Active already: nothing happens."""
    before = unit.deployments.active(pipeline.id, environment)
    if before is not None:
        if before.version_id == version.id:
            return before
        why = f"superseded by v{version.number} in {environment.label}"
        deactivate(unit, pipeline, before, why, superseding(unit, before))
    deployment = unit.deployments.start(
        environment,
        pipeline.id,
        version.id,
        version.digest,
        reason=reason,
        label=label,
        by=unit.actor.person,
        promotion_id=promotion_id,
    )
    if environment.has_sessions:
        unit.runs.add_session(environment, pipeline.id, version.id)
    unit.audit(
        "deployment.started",
        f"pipeline:{pipeline.name}",
        environment=environment.value,
        version=version.number,
        digest=version.digest,
        reason=reason,
        label=label.value,
        replaces=before and before.deployed_digest,
    )
    tell(unit, "deployment.started", pipeline.name, environment=environment.value, version=version.number)
    return deployment


def deactivate(unit: Unit, pipeline: Pipeline, deployment: Deployment, why: str, what: Ending) -> None:
    """Ends a deployment, and `what` goes with it."""
    unit.deployments.end(deployment, why)
    unit.audit(
        "deployment.ended",
        f"pipeline:{pipeline.name}",
        environment=deployment.environment.value,
        digest=deployment.deployed_digest,
        reason=why,
    )
    for request in what.requests:
        unit.promotions.change(request, Ended(state=State.WITHDRAWN, outcome=why, at=unit.now))
        unit.audit("promotion.withdrawn", f"promotion:{request.id}", reason=why)
    revoke(unit, what.revoked, why)


def revoke(unit: Unit, what: Revocation, why: str) -> None:
    """Takes admissions and unused permits away."""
    for admission in what.runs:
        unit.runs.set_admission(admission, AdmissionState.REVOKED, why)
        unit.audit("admission.revoked", f"run:{admission.run_id}", reason=why)
    for permit in what.permits:
        unit.runs.close_permit(permit, PermitState.REVOKED)
        unit.audit("permit.revoked", f"permit:{permit.id}", reason=why)


def require_no_execution(unit: View, pipeline: Pipeline, *environments: Environment, but: int | None = None) -> None:
    """The lock of pipeline × environment: raises Conflict while a promotion moves something there (L12)."""
    refuse([execution_check(unit, pipeline, *environments, but=but)])


def execution_check(view: View, pipeline: Pipeline, *environments: Environment, but: int | None = None) -> Check:
    """Whether no promotion moves something of the pipeline there now."""
    for promotion in view.promotions.unfinished(pipeline.id):
        if promotion.id == but or promotion.state.is_open:
            continue
        if {promotion.plan.source, promotion.target} & set(environments):
            why = (
                f"request {promotion.id} ({pipeline.name} to {promotion.target.label}) is "
                f"{promotion.state.value}: wait for it to finish, or resume it, first"
            )
            return Check(False, why, Conflict)
    where = " or ".join(dict.fromkeys(one.label for one in environments))
    return Check(True, f"no request of {pipeline.name} is executing in {where}")


def active_check(view: View, pipeline: Pipeline, version: Version, environment: Environment, doing: str) -> Check:
    """Whether `version` is what is active there; `doing` is the verb that asks."""
    active = view.deployments.active(pipeline.id, environment)
    named = f"{pipeline.name} v{version.number}"
    if active is None or active.version_id != version.id:
        return Check(False, f"{named} is not active in {environment.label}; there is nothing to {doing}")
    return Check(True, f"{named} is active in {environment.label}")


def _requests(view: View, deployment: Deployment) -> tuple[Promotion, ...]:
    return tuple(
        request
        for request in view.promotions.open_for_version(deployment.version_id)
        if request.plan.source is deployment.environment
    )


def _revoked(view: View, deployment: Deployment, *, running: bool) -> Revocation:
    return revocation(view, deployment.pipeline_id, deployment.environment, running=running)
