"""What the lifecycle answers: names instead of ids, so that people and programs can read it as it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.environment import Environment, Role, Stage
from lifecycle.domain.model import Frozen, SnapshotId
from lifecycle.domain.newer_runs import NewerRuns
from lifecycle.domain.people import PersonKind, ScopeKind
from lifecycle.domain.plan import Plan
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import Comment, Promotion, Said, State, Verdict
from lifecycle.domain.releases import TableThen
from lifecycle.domain.run import Drift, Session, SessionState
from lifecycle.domain.version import Label


class VersionInfo(Frozen):
    """A version without its definition. `active_in` is empty for one that is superseded or retired."""

    pipeline: str
    number: int
    digest: str
    stage: Stage
    active_in: tuple[Environment, ...]
    message: str
    author: str | None
    created_at: datetime


class VersionDetail(VersionInfo):
    """A version with its definition (JSON, lock included) and where it came from."""

    spec: str
    origin: dict[str, Any]


class PipelineInfo(Frozen):
    """A pipeline. `active` is the number of the version that is active, by environment."""

    name: str
    newest: int
    active: dict[Environment, int]


class Request(Frozen):
    """A request to promote, or a rollback or a broken glass, which execute at once.

    `waiting` says what an approved one waits for; `outcome` why one is over without effect.
    """

    id: int
    revision: int
    kind: str
    pipeline: str
    version: int
    target: Environment
    state: State
    plan_digest: str
    requested_by: str | None
    acted_for: str | None
    reason: str
    requested_at: datetime
    expires_at: datetime
    finished_at: datetime | None
    outcome: str
    refresh_of: int | None
    waiting: str = ""


def request_of(promotion: Promotion, person: Callable[[int | None], str | None], waiting: str = "") -> Request:
    """A stored request with names; `person` gives an account's."""
    return Request(
        id=promotion.id,
        revision=promotion.revision,
        kind=promotion.plan.kind,
        pipeline=promotion.plan.pipeline,
        version=promotion.plan.version,
        target=promotion.target,
        state=promotion.state,
        plan_digest=promotion.plan_digest,
        requested_by=person(promotion.requested_by),
        acted_for=person(promotion.acted_for),
        reason=promotion.reason,
        requested_at=promotion.requested_at,
        expires_at=promotion.expires_at,
        finished_at=promotion.finished_at,
        outcome=promotion.outcome,
        refresh_of=promotion.refresh_of,
        waiting=waiting,
    )


class Decided(Frozen):
    """What a person said to a request; `role` is what they were at that moment.

    `lapsed` says why an approval no longer counts. It counts together with those of `one_with`, as one person's.
    """

    person: str
    verdict: Verdict
    reason: str
    role: str
    own_work: bool
    at: datetime
    lapsed: str = ""
    one_with: tuple[str, ...] = ()


class Remark(Frozen):
    """A comment on a request."""

    person: str
    body: str
    at: datetime


def decided(decision: Said, person: Callable[[int | None], str | None]) -> Decided:
    """A stored decision with a name."""
    return Decided(
        person=person(decision.person) or "",
        verdict=decision.verdict,
        reason=decision.reason,
        role=decision.role,
        own_work=decision.own_work,
        at=decision.at,
        lapsed=decision.lapsed,
        one_with=decision.one_with,
    )


def remark(comment: Comment, person: Callable[[int | None], str | None]) -> Remark:
    """A stored comment with a name."""
    return Remark(person=person(comment.person) or "", body=comment.body, at=comment.at)


class RequestDetail(Request):
    """A request with what is to be approved, by whom, and what was said so far.

    `newer_runs` are those of the version since the evidence.
    """

    plan: Plan
    quorum: str | None
    may_approve: tuple[str, ...]
    decisions: tuple[Decided, ...]
    comments: tuple[Remark, ...]
    newer_runs: NewerRuns = NewerRuns()


class Active(Frozen):
    """A version that is, or was (`until`), active in an environment.

    `tables` is how production's stood at the time that was asked for; empty elsewhere, and where nobody asked.
    """

    environment: Environment
    pipeline: str
    version: int
    digest: str
    label: Label
    reason: str
    request: int | None
    since: datetime
    until: datetime | None
    approved_by: tuple[str, ...] = ()
    tables: tuple[TableThen, ...] = ()


class HoldInfo(Frozen):
    """A freeze or a stop of a pipeline, or (None) of the environment."""

    id: int
    kind: HoldKind
    environment: Environment
    pipeline: str | None
    reason: str
    set_by: str | None
    set_at: datetime
    lifted_at: datetime | None


class SessionInfo(Frozen):
    """An evidence session; PENDING: the version's next run opens it."""

    id: int
    environment: Environment
    pipeline: str
    state: SessionState
    created_at: datetime


def session_of(session: Session, pipeline: str) -> SessionInfo:
    """A stored session with its pipeline's name."""
    return SessionInfo(
        id=session.id,
        environment=session.environment,
        pipeline=pipeline,
        state=session.state,
        created_at=session.created_at,
    )


class DriftInfo(Frozen):
    """A head (`found`) of a governed ref that no permit explains, and how it was settled, if it was.

    `outcome` says what a revert that has begun waits for.
    """

    id: int
    environment: Environment
    pipeline: str
    table: str
    ref: str
    found: SnapshotId | None
    state: str
    reason: str
    found_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    outcome: str = ""


def drift_of(drift: Drift, pipeline: str, person: Callable[[int | None], str | None]) -> DriftInfo:
    """A stored drift with names."""
    return DriftInfo(
        id=drift.id,
        environment=drift.environment,
        pipeline=pipeline,
        table=drift.table_name,
        ref=drift.ref,
        found=drift.found,
        state=drift.state,
        reason=drift.reason,
        found_at=drift.found_at,
        closed_at=drift.closed_at,
        closed_by=person(drift.closed_by),
        outcome=drift.outcome,
    )


class PolicyInfo(Frozen):
    """The newest revision for exactly this scope; `body` None: taken away."""

    environment: Environment
    pipeline: str | None
    revision: int
    body: Policy | None
    set_by: str | None
    at: datetime


class GrantInfo(Frozen):
    """A role on a scope; `team` names the team through which a person has it."""

    id: int
    role: Role
    scope: ScopeKind
    scope_value: str
    team: str | None = None


class PersonInfo(Frozen):
    """An account with its teams and grants."""

    name: str
    kind: PersonKind
    display_name: str
    email: str | None
    email_verified: bool
    acts_for: str | None
    disabled_at: datetime | None
    teams: tuple[str, ...]
    grants: tuple[GrantInfo, ...]


class TeamInfo(Frozen):
    """A team with its members and grants."""

    name: str
    members: tuple[str, ...]
    grants: tuple[GrantInfo, ...]


class Me(Frozen):
    """Whose token is in use, and what it may do at most. `store` says where the lifecycle is.

    `can_return`: there is another way to sign in, so that this token can be forgotten. `has_password`: changing the
    password takes the current one.
    """

    name: str
    store: str
    roles: tuple[str, ...]
    teams: tuple[str, ...]
    scopes: tuple[TokenScope, ...]
    can_return: bool
    has_password: bool = True
