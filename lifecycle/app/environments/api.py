"""What runs where, and what people do to a whole environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.rest.guard import Who
from lifecycle.app.kit.rest.models import (
    DriftView,
    HoldView,
    Id,
    IdempotencyKey,
    IfMatch,
    NewHold,
    OfPipeline,
    Page,
    PlanRollback,
    PolicyView,
    Rollback,
    Running,
    WithReason,
)
from lifecycle.domain.environment import Environment
from lifecycle.domain.gate import Action, Answer
from lifecycle.domain.policy import Hold, HoldKind, Policy, PolicyRevision
from lifecycle.domain.promotion import Answered
from lifecycle.domain.releases import TableThen
from lifecycle.domain.run import Drift, Session
from lifecycle.domain.version import Deployment
from lifecycle.errors import Conflict, Invalid, NotFound
from lifecycle.store.unit import View
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.may import may
from lifecycle.usecases.parts.rounds import Trouble
from lifecycle.usecases.parts.visible import sees, visible_troubles
from lifecycle.usecases.releases_then import approvers_of, tables_then
from lifecycle.usecases.rollback_release import RollbackPlan, plan_rollback, rollback_release
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.settle_drift import settle_drift
from lifecycle.usecases.start_run import new_session

router = APIRouter(prefix="/api", tags=["environments"])
Text = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


@router.get("/environments")
def environments(ctx: Ctx, who: Who, at: AwareDatetime | None = None, tables: bool = False) -> Page[Running]:
    """Which version is active where, approved by whom and since when; now, or `at` a past time.

    `tables`: of production also on which snapshots its tables stood, since when, and from which inputs they were made.
    """
    with ctx.store.read() as view:
        found = [
            _running(view, one, tables_then(view, one, at) if tables else ())
            for where in Environment
            for one in view.deployments.of(where, at)
            if sees(view, who, one.pipeline_id)
        ]
    return Page(items=found)


@router.get("/environments/{environment}/may")
def may_run(
    ctx: Ctx,
    who: Who,
    environment: Environment,
    pipeline: Text,
    digest: Text,
    action: Action = Action.ADMIT,
    run_id: Text | None = None,
) -> Answer:
    """The gate's answer, with the reason."""
    return may(ctx, pipeline, digest, environment, action, run_id=run_id)


@router.post("/environments/{environment}/rollback/plan")
def rollback_plan(ctx: Ctx, who: Who, environment: Environment, body: PlanRollback) -> RollbackPlan:
    """What a rollback would do, and what data it would undo."""
    _only_production(environment)
    return plan_rollback(ctx, who, body.pipeline, data=body.data)


@router.post("/environments/{environment}/rollback", status_code=201)
def rollback(
    ctx: Ctx, who: Who, environment: Environment, body: Rollback, idempotency_key: IdempotencyKey = None
) -> Answered:
    """Re-activates the previous release."""
    _only_production(environment)
    return rollback_release(
        ctx,
        who,
        body.pipeline,
        reason=body.reason,
        data=body.data,
        consent=body.consent,
        key=idempotency_key,
    )


@router.post("/environments/{environment}/freeze", status_code=201)
def freeze(ctx: Ctx, who: Who, environment: Environment, body: NewHold, idempotency_key: IdempotencyKey = None) -> Hold:
    """No promotion, demotion or rollback until it is lifted; runs go on (L9)."""
    kind = HoldKind.FREEZE
    return set_hold(ctx, who, kind, environment, body.pipeline, reason=body.reason, key=idempotency_key)


@router.post("/environments/{environment}/stop", status_code=201)
def stop(ctx: Ctx, who: Who, environment: Environment, body: NewHold, idempotency_key: IdempotencyKey = None) -> Hold:
    """No run starts or publishes until it is lifted (L9)."""
    kind = HoldKind.STOP
    return set_hold(ctx, who, kind, environment, body.pipeline, reason=body.reason, key=idempotency_key)


@router.post("/environments/{environment}/refresh", status_code=201)
def refresh_evidence(ctx: Ctx, who: Who, environment: Environment, body: OfPipeline) -> Session:
    """The pipeline's next run in QA or UAT starts on branches fresh off main (D9)."""
    return new_session(ctx, who, body.pipeline, environment)


@router.get("/holds")
def list_holds(ctx: Ctx, who: Who) -> Page[HoldView]:
    """Every freeze and stop that is not lifted."""
    with ctx.store.read() as view:
        found = [HoldView(hold=one, pipeline=_name(view, one.pipeline_id)) for one in view.policies.holds()]
    return Page(items=found)


@router.get("/troubles")
def list_troubles(ctx: Ctx, who: Who) -> Page[Trouble]:
    """Requests, runs, tables and messages that could not be handled when they were tried last."""
    with ctx.store.read() as view:
        return Page(items=list(visible_troubles(view, who)))


@router.delete("/holds/{hold_id}")
def lift(ctx: Ctx, who: Who, hold_id: Id) -> Hold:
    """Lifts a freeze or a stop."""
    return lift_hold(ctx, who, hold_id)


@router.get("/drift")
def list_drift(ctx: Ctx, who: Who) -> Page[DriftView]:
    """Heads of governed refs that no permit explains (L15)."""
    with ctx.store.read() as view:
        found = [
            DriftView(drift=one, pipeline=view.pipelines.get(one.pipeline_id).name)
            for one in view.runs.open_drifts()
            if sees(view, who, one.pipeline_id)
        ]
    return Page(items=found)


@router.post("/drift/{drift_id}/adopt")
def adopt(ctx: Ctx, who: Who, drift_id: Id, body: WithReason, idempotency_key: IdempotencyKey = None) -> DriftView:
    """Takes a foreign write over."""
    return _drift(ctx, settle_drift(ctx, who, drift_id, "adopt", reason=body.reason, key=idempotency_key))


@router.post("/drift/{drift_id}/revert")
def revert(ctx: Ctx, who: Who, drift_id: Id, body: WithReason, idempotency_key: IdempotencyKey = None) -> DriftView:
    """Undoes a foreign write."""
    return _drift(ctx, settle_drift(ctx, who, drift_id, "revert", reason=body.reason, key=idempotency_key))


@router.get("/policies")
def list_policies(ctx: Ctx, who: Who) -> Page[PolicyView]:
    """What was set last, for each environment and each pipeline that has a policy of its own."""
    with ctx.store.read() as view:
        found = [PolicyView(revision=one, pipeline=_name(view, one.pipeline_id)) for one in view.policies.newest()]
    return Page(items=found)


@router.get("/environments/{environment}/policy")
def get_policy(
    ctx: Ctx, who: Who, environment: Environment, response: Response, pipeline: Text | None = None
) -> PolicyRevision:
    """The policy in force for an environment, or for a pipeline in it; the ETag is its revision."""
    with ctx.store.read() as view:
        if pipeline is not None:
            found = view.policies.in_force(environment, view.pipelines.named(pipeline).id)
        else:
            found = view.policies.revision(environment, None)
    if found is None or found.body is None:
        raise NotFound(f"{environment.label} has no policy, so nothing may go there")
    response.headers["ETag"] = f'"{found.id}"'
    return found


@router.put("/environments/{environment}/policy")
def put_policy(
    ctx: Ctx,
    who: Who,
    environment: Environment,
    body: Policy,
    pipeline: Text | None = None,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> PolicyRevision:
    """Sets a policy; with If-Match only over that revision."""
    return set_policy(ctx, who, environment, pipeline, body, if_revision=_revision(if_match), key=idempotency_key)


@router.delete("/environments/{environment}/policy")
def delete_policy(
    ctx: Ctx, who: Who, environment: Environment, pipeline: Text | None = None, if_match: IfMatch = None
) -> PolicyRevision:
    """Takes a policy away: an environment without one lets nothing in."""
    return set_policy(ctx, who, environment, pipeline, None, if_revision=_revision(if_match))


def _revision(if_match: str | None) -> int | None:
    text = if_match.strip('"') if if_match else None
    if text is not None and not text.isdecimal():
        raise Invalid('If-Match is the ETag of the policy that you looked at, for example "3"')
    return int(text) if text else None


def _only_production(environment: Environment) -> None:
    if environment is not Environment.PRODUCTION:
        raise Conflict(f"rollback is for production; demote or promote in {environment.label}")


def _name(view: View, pipeline_id: int | None) -> str | None:
    return None if pipeline_id is None else view.pipelines.get(pipeline_id).name


def _drift(ctx: Ctx, drift: Drift) -> DriftView:
    with ctx.store.read() as view:
        return DriftView(drift=drift, pipeline=view.pipelines.get(drift.pipeline_id).name)


def _running(view: View, one: Deployment, tables: Sequence[TableThen]) -> Running:
    return Running(
        environment=one.environment,
        pipeline=view.pipelines.get(one.pipeline_id).name,
        version=view.pipelines.version(one.version_id).number,
        digest=one.deployed_digest,
        label=one.label,
        since=one.started_at,
        promotion=one.promotion_id,
        approved_by=list(approvers_of(view, one)),
        tables=list(tables),
        deployment=one,
    )
