"""Changing what is active, with everything that follows from it (L1, L10). Inside one unit of work."""

from __future__ import annotations

from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import Ended, State
from lifecycle.domain.run import AdmissionState, PermitState
from lifecycle.domain.version import Deployment, Label, Pipeline, Version
from lifecycle.errors import Conflict
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.telling import tell


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
        why = f"superseded by v{version.number} in {environment.value}"
        deactivate(unit, pipeline, before, why, revoke=environment is Environment.PRODUCTION, running=False)
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


def deactivate(
    unit: Unit, pipeline: Pipeline, deployment: Deployment, why: str, *, revoke: bool, running: bool = True
) -> None:
    """Ends a deployment and closes the requests that start from it.

    `revoke` takes unused permits and the admissions of runs that have not started, with `running` those
    of running ones too.
    """
    unit.deployments.end(deployment, why)
    unit.audit(
        "deployment.ended",
        f"pipeline:{pipeline.name}",
        environment=deployment.environment.value,
        digest=deployment.deployed_digest,
        reason=why,
    )
    for request in unit.promotions.open_for_version(deployment.version_id):
        if request.plan.source is deployment.environment:
            ended = Ended(state=State.WITHDRAWN, outcome=why, at=unit.now)
            unit.promotions.change(request, ended)
            unit.audit("promotion.withdrawn", f"promotion:{request.id}", reason=why)
    if revoke:
        revoke_runs(unit, pipeline.id, deployment.environment, why, running=running)


def revoke_runs(unit: Unit, pipeline_id: int, environment: Environment, why: str, *, running: bool) -> None:
    """Takes admissions away (of queued runs, with `running` of all) and every unused permit."""
    for admission in unit.runs.live_admissions(pipeline_id, environment):
        if running or admission.state is AdmissionState.QUEUED:
            unit.runs.set_admission(admission, AdmissionState.REVOKED, why)
            unit.audit("admission.revoked", f"run:{admission.run_id}", reason=why)
    for permit in unit.runs.live_permits(pipeline_id, environment):
        unit.runs.close_permit(permit, PermitState.REVOKED)
        unit.audit("permit.revoked", f"permit:{permit.id}", reason=why)


def require_no_execution(unit: View, pipeline: Pipeline, *environments: Environment, but: int | None = None) -> None:
    """The lock of pipeline × environment: raises Conflict while a promotion moves something there (L12)."""
    for promotion in unit.promotions.unfinished(pipeline.id):
        if promotion.id == but or promotion.state.is_open:
            continue
        if {promotion.plan.source, promotion.target} & set(environments):
            raise Conflict(
                f"request {promotion.id} ({pipeline.name} to {promotion.target.value}) is "
                f"{promotion.state.value}: wait for it, or resume it, first"
            )
