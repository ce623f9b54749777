"""What is active where, and what people do to a whole environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime

from lifecycle.domain.environment import Environment
from lifecycle.domain.gate import Action, Answer
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.errors import Conflict, NotFound
from lifecycle.usecases import holding
from lifecycle.usecases.demote_version import demote_version
from lifecycle.usecases.loaded import loaded_digests
from lifecycle.usecases.may import may as ask_gate
from lifecycle.usecases.parts.rounds import Trouble
from lifecycle.usecases.parts.visible import visible_ids, visible_pipeline, visible_troubles
from lifecycle.usecases.releases_then import tables_of
from lifecycle.usecases.retire_version import retire_version
from lifecycle.usecases.rollback_release import RollbackPlan, rollback_release
from lifecycle.usecases.rollback_release import plan_rollback as plan_back
from lifecycle.usecases.set_policy import set_policy as set_revision
from lifecycle.usecases.settle_drift import settle_drift
from lifecycle.usecases.start_run import new_session as open_session
from lifecycle.verbs.answers import (
    Active,
    DeploymentRecord,
    DriftInfo,
    DriftView,
    HoldInfo,
    HoldRecord,
    HoldView,
    Loaded,
    Page,
    PolicyInfo,
    PolicyRecord,
    PolicyView,
    Request,
    RequestRecord,
    Running,
    SessionInfo,
    SessionRecord,
)
from lifecycle.verbs.inputs import (
    Digest,
    Id,
    IfRevision,
    InQuery,
    Key,
    Name,
    Number,
    PipelineName,
    Reason,
    ShortText,
    WholeBody,
)
from lifecycle.verbs.verb import Call, answers, lists


@lists(Active)
def active(
    call: Call,
    environment: Environment | None = None,
    *,
    pipeline: ShortText | None = None,
    at: AwareDatetime | None = None,
    tables: bool = False,
) -> Page[Running]:
    """Which version is active where, approved by whom and since when; now, or `at` a past time.

    `tables`: of production also on which snapshots its tables stood, since when, and from which inputs they were made.
    """
    with call.read() as (view, names):
        wanted = visible_pipeline(view, call.who, pipeline) if pipeline else None
        only = visible_ids(view, call.who) if wanted is None else {wanted.id}
        found = [
            one
            for where in ([environment] if environment else Environment)
            for one in view.deployments.of(where, at, None if wanted is None else wanted.id)
            if only is None or one.pipeline_id in only
        ]
        stood = tables_of(view, found, at) if tables else {}
        return Page(items=[names.running(one, stood.get(one.id, ())) for one in found])


@answers(Answer)
def may(
    call: Call,
    environment: Environment,
    *,
    pipeline: ShortText,
    digest: ShortText,
    action: Action = Action.ADMIT,
    run_id: ShortText | None = None,
) -> Answer:
    """The gate's answer, with the reason."""
    return ask_gate(call.ctx, pipeline, digest, environment, action, run_id=run_id)


@answers(Loaded)
def loaded(call: Call, environment: Environment) -> Loaded:
    """What the environment's code location loaded last: by pipeline, the digest of the version."""
    with call.read() as (view, _):
        found = loaded_digests(view, environment)
        only = visible_ids(view, call.who)
        if found is None or only is None:
            return Loaded(loaded=found)
        seen = set(view.pipelines.names(only).values())
        return Loaded(loaded={name: digest for name, digest in found.items() if name in seen})


@answers(Active)
def demote(call: Call, name: Name, number: Number, *, reason: Reason, key: Key = None) -> DeploymentRecord:
    """Removes the version from UAT."""
    ended = demote_version(call.ctx, call.who, name, number, reason=reason, key=key)
    return call.named(lambda names: names.deployment(ended))


@answers(Active)
def retire(
    call: Call, name: Name, number: Number, *, reason: Reason, consent: bool = False, key: Key = None
) -> DeploymentRecord:
    """Removes the version from production; with `consent` although active pipelines read its tables."""
    ended = retire_version(call.ctx, call.who, name, number, reason=reason, consent=consent, key=key)
    return call.named(lambda names: names.deployment(ended))


@answers(RollbackPlan)
def plan_rollback(call: Call, environment: Environment, pipeline: PipelineName, *, data: bool = False) -> RollbackPlan:
    """What a rollback would do, and what data it would undo; changes nothing."""
    _only_production(environment)
    return plan_back(call.ctx, call.who, pipeline, data=data)


@answers(Request)
def rollback(
    call: Call,
    environment: Environment,
    pipeline: PipelineName,
    *,
    reason: Reason,
    data: bool = False,
    consent: Digest | None = None,
    key: Key = None,
) -> RequestRecord:
    """Rolls production back to its previous release; `data` needs `consent`, the digest of the plan (L13)."""
    _only_production(environment)
    done = rollback_release(call.ctx, call.who, pipeline, reason=reason, data=data, consent=consent, key=key)
    return call.named(lambda names: names.request(done))


@lists(HoldInfo)
def holds(call: Call) -> Page[HoldView]:
    """Every freeze and stop that is not lifted."""
    with call.read() as (view, names):
        found = [names.hold(one) for one in view.policies.holds()]
    return Page(items=[HoldView(hold=one, pipeline=one.pipeline) for one in found])


@answers(HoldInfo)
def freeze(
    call: Call, environment: Environment, pipeline: PipelineName | None = None, *, reason: Reason, key: Key = None
) -> HoldRecord:
    """No promotion, demotion or rollback until it is lifted; runs continue (L9)."""
    return _hold(call, HoldKind.FREEZE, environment, pipeline, reason, key)


@answers(HoldInfo)
def stop(
    call: Call, environment: Environment, pipeline: PipelineName | None = None, *, reason: Reason, key: Key = None
) -> HoldRecord:
    """No run starts or publishes until it is lifted (L9)."""
    return _hold(call, HoldKind.STOP, environment, pipeline, reason, key)


@answers(HoldInfo)
def lift(call: Call, hold_id: Id) -> HoldRecord:
    """Lifts a freeze or a stop."""
    lifted = holding.lift_hold(call.ctx, call.who, hold_id)
    return call.named(lambda names: names.hold(lifted))


@answers(SessionInfo)
def new_session(call: Call, environment: Environment, pipeline: PipelineName) -> SessionRecord:
    """The pipeline's next run in QA or UAT starts on branches fresh off main (D9)."""
    asked = open_session(call.ctx, call.who, pipeline, environment)
    return call.named(lambda names: names.session(asked))


@lists(DriftInfo)
def drifts(call: Call) -> Page[DriftView]:
    """Heads of governed refs that no permit explains (L15)."""
    with call.read() as (view, names):
        only = visible_ids(view, call.who)
        found = view.runs.open_drifts()
        return Page(items=[names.drift(one) for one in found if only is None or one.pipeline_id in only])


@answers(DriftInfo)
def adopt(call: Call, drift_id: Id, *, reason: Reason, key: Key = None) -> DriftView:
    """Adopts an unexplained write."""
    settled = settle_drift(call.ctx, call.who, drift_id, "adopt", reason=reason, key=key)
    return call.named(lambda names: names.drift(settled))


@answers(DriftInfo)
def revert(call: Call, drift_id: Id, *, reason: Reason, key: Key = None) -> DriftView:
    """Reverts an unexplained write."""
    settled = settle_drift(call.ctx, call.who, drift_id, "revert", reason=reason, key=key)
    return call.named(lambda names: names.drift(settled))


@lists(Trouble)
def troubles(call: Call) -> Page[Trouble]:
    """Requests, runs, tables and messages that could not be handled when they were tried last."""
    with call.read() as (view, _):
        return Page(items=list(visible_troubles(view, call.who)))


@lists(PolicyInfo)
def policies(call: Call) -> Page[PolicyView]:
    """What was set last, for each environment and each pipeline that has a policy of its own."""
    with call.read() as (view, names):
        found = [names.policy(one) for one in view.policies.newest()]
    return Page(items=[PolicyView(revision=one, pipeline=one.pipeline) for one in found])


@answers(PolicyInfo)
def policy_in_force(call: Call, environment: Environment, *, pipeline: ShortText | None = None) -> PolicyRecord:
    """The policy in force for an environment, or for a pipeline in it; the ETag is its revision."""
    with call.read() as (view, names):
        if pipeline is not None:
            found = view.policies.in_force(environment, view.pipelines.named(pipeline).id)
        else:
            found = view.policies.revision(environment, None)
        if found is None or found.body is None:
            raise NotFound(f"{environment.label} has no policy, so nothing can be promoted to it")
        return names.policy(found)


@answers(PolicyInfo)
def set_policy(
    call: Call,
    environment: Environment,
    body: Annotated[Policy, WholeBody()],
    *,
    pipeline: Annotated[ShortText | None, InQuery()] = None,
    if_revision: IfRevision = None,
    key: Key = None,
) -> PolicyRecord:
    """Sets a policy; with If-Match only over that revision."""
    revision = set_revision(call.ctx, call.who, environment, pipeline, body, if_revision=if_revision, key=key)
    return call.named(lambda names: names.policy(revision))


@answers(PolicyInfo)
def remove_policy(
    call: Call,
    environment: Environment,
    *,
    pipeline: Annotated[ShortText | None, InQuery()] = None,
    if_revision: IfRevision = None,
    key: Key = None,
) -> PolicyRecord:
    """Removes a policy: an environment without one lets nothing in."""
    revision = set_revision(call.ctx, call.who, environment, pipeline, None, if_revision=if_revision, key=key)
    return call.named(lambda names: names.policy(revision))


def _hold(
    call: Call, kind: HoldKind, environment: Environment, pipeline: str | None, reason: str, key: str | None
) -> HoldRecord:
    hold = holding.set_hold(call.ctx, call.who, kind, environment, pipeline, reason=reason, key=key)
    return call.named(lambda names: names.hold(hold))


def _only_production(environment: Environment) -> None:
    if environment is not Environment.PRODUCTION:
        raise Conflict(f"rollback is for production; demote or promote in {environment.label}")
