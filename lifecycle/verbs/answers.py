"""What verbs answer.

A verb returns a `…Record`: what the store keeps, with a name next to each id (`set_by` and `set_by_name`); REST sends
that. Everybody else reads what `Verb.shown` makes of it, which has names instead of ids.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, TypeVar, cast

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.environment import Environment, Stage
from lifecycle.domain.model import SnapshotId
from lifecycle.domain.newer_runs import NewerRuns
from lifecycle.domain.people import Grant, PersonKind, ScopeKind, Team
from lifecycle.domain.plan import Plan
from lifecycle.domain.policy import Hold, HoldKind, Policy, PolicyRevision
from lifecycle.domain.promotion import Answered, Comment, Said, State, Verdict
from lifecycle.domain.readiness import Waiting
from lifecycle.domain.releases import TableThen
from lifecycle.domain.roles import Role
from lifecycle.domain.run import Drift, Session, SessionState
from lifecycle.domain.version import Deployment, Label
from lifecycle.usecases.accounts import PersonView
from lifecycle.usecases.set_receivers import Receiver

Item = TypeVar("Item")
_Nobody = str | None


def _named(field: str, *others: str) -> Any:
    """A name that the record has besides the id, or under another word."""
    return Field(validation_alias=AliasChoices(f"{field}_name", *others, field))


def _fields(value: Any) -> dict[str, Any]:
    return dict(cast("dict[str, Any]", value)) if isinstance(value, dict | BaseModel) else {}


class Answer(BaseModel):
    """Read from a record, or from what a server sent: what else is in it is left out.

    `within` names the field that holds the rest of the record, where there is one.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True)
    within: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        if not cls.within:
            return value
        given = _fields(value)
        return {**_fields(given[cls.within]), **given} if cls.within in given else value


class Page(BaseModel, Generic[Item]):
    """One page; `next` is the cursor of the one after it, or null."""

    items: list[Item]
    next: str | None = None


class PipelineInfo(Answer):
    """A pipeline. `active` is the number of the version that is active, by environment."""

    name: str
    newest: int
    active: dict[Environment, int]


class VersionInfo(Answer):
    """A version without its definition. `active_in` is empty for one that is superseded or retired."""

    pipeline: str
    number: int
    digest: str
    stage: Stage
    active_in: tuple[Environment, ...]
    message: str
    author: str
    created_at: datetime


class VersionDetail(VersionInfo):
    """A version with its definition (its lock included) and where it came from."""

    definition: dict[str, Any]
    origin: dict[str, Any]

    @property
    def spec(self) -> str:
        """The definition as JSON text."""
        return json.dumps(self.definition)


def _why(waiting: Any) -> str:
    if waiting is None or isinstance(waiting, str):
        return waiting or ""
    return Waiting.model_validate(waiting).why


class RequestRecord(Answered):
    """A request to promote; `kind`, `pipeline` and `version` are those of its plan."""

    kind: str
    pipeline: str
    version: int
    requested_by_name: _Nobody
    acted_for_name: _Nobody


class ExecutionRecord(BaseModel):
    """Where the request is now; `waiting` says what an unfinished one waits for."""

    promotion: RequestRecord
    waiting: Waiting | None


class Request(Answer):
    """A request to promote, or a rollback or a broken glass, which execute at once.

    `waiting` says what an approved one waits for; `outcome` why one is over without effect.
    """

    within = "promotion"

    id: int
    revision: int
    kind: str
    pipeline: str
    version: int
    target: Environment
    state: State
    plan_digest: str
    requested_by: _Nobody = _named("requested_by")
    acted_for: _Nobody = _named("acted_for")
    reason: str
    requested_at: datetime
    expires_at: datetime
    finished_at: datetime | None
    outcome: str
    refresh_of: int | None
    waiting: Annotated[str, BeforeValidator(_why)] = ""


class SaidRecord(Said):
    """A decision, with the name of who made it."""

    person_name: str


class Decided(Answer):
    """What a person said to a request; `role` is what they were at that moment.

    `lapsed` says why an approval no longer counts. It counts together with those of `one_with`, as one person's.
    """

    person: str = _named("person")
    verdict: Verdict
    reason: str
    role: str
    own_work: bool
    at: datetime
    lapsed: str = ""
    one_with: tuple[str, ...] = ()


class CommentRecord(Comment):
    """A comment, with the name of who wrote it."""

    person_name: str


class Remark(Answer):
    """A comment on a request."""

    person: str = _named("person")
    body: str
    at: datetime


class ApprovalRecord(BaseModel):
    """A request with everything that people said to it, and who may still approve.

    An approval that no longer counts says why in `lapsed`; `newer_runs` are those since the evidence. `quorum` is what
    the policy that it was made under asks for, `seats` how far each of its alternatives is filled, and by whom.
    `waiting` says what an approved one waits for.
    """

    request: RequestRecord
    quorum: str | None
    seats: list[str]
    waiting: Waiting | None
    decisions: list[SaidRecord]
    comments: list[CommentRecord]
    may_approve: list[str]
    newer_runs: NewerRuns


class RequestDetail(Request):
    """A request with what is to be approved, by whom, and the discussion so far.

    `seats` says how far each alternative of the quorum is filled. `newer_runs` are those of the version since the
    evidence.
    """

    within = "request"

    plan: Plan
    quorum: str | None
    seats: tuple[str, ...] = ()
    may_approve: tuple[str, ...]
    decisions: tuple[Decided, ...]
    comments: tuple[Remark, ...]
    newer_runs: NewerRuns = NewerRuns()


class DeploymentRecord(Deployment):
    """Where a version is or was active, with the names of both."""

    pipeline: str
    version: int


class Active(Answer):
    """A version that is, or was (`until`), active in an environment.

    `tables` is how production's stood at the time that was asked for; empty elsewhere, and where nobody asked.
    """

    environment: Environment
    pipeline: str
    version: int
    digest: str = _named("digest", "deployed_digest")
    label: Label
    reason: str
    request: int | None = _named("request", "promotion_id", "promotion")
    since: datetime = _named("since", "started_at")
    until: datetime | None = _named("until", "ended_at")
    approved_by: tuple[str, ...] = ()
    tables: tuple[TableThen, ...] = ()


class Running(Active):
    """The same as a list shows it, with the record of the deployment."""

    promotion: int | None
    deployment: Deployment


class Loaded(Answer):
    """By pipeline, the digest that the code location loaded last; None where it never said."""

    loaded: dict[str, str] | None


class HoldRecord(Hold):
    """A freeze or a stop, with the name of who set it; `pipeline` None: of the whole environment."""

    pipeline: str | None
    set_by_name: _Nobody


class HoldView(BaseModel):
    """The same as a list shows it."""

    hold: HoldRecord
    pipeline: str | None


class HoldInfo(Answer):
    """A freeze or a stop of a pipeline, or (None) of the environment."""

    within = "hold"

    id: int
    kind: HoldKind
    environment: Environment
    pipeline: str | None
    reason: str
    set_by: _Nobody = _named("set_by")
    set_at: datetime
    lifted_at: datetime | None


class SessionRecord(Session):
    """An evidence session, with the name of its pipeline."""

    pipeline: str


class SessionInfo(Answer):
    """An evidence session; PENDING: the version's next run opens it."""

    id: int
    environment: Environment
    pipeline: str
    state: SessionState
    created_at: datetime


class DriftRecord(Drift):
    """A head that no permit explains, with the name of who settled it."""

    closed_by_name: _Nobody


class DriftView(BaseModel):
    """A head that no permit explains, with the name of the pipeline that writes the table."""

    drift: DriftRecord
    pipeline: str


class DriftInfo(Answer):
    """A head (`found`) of a governed ref that no permit explains, and how it was settled, if it was.

    `outcome` says what a revert that has begun waits for. With `file`, that file of production is not as it was
    published, and `why` says how.
    """

    within = "drift"

    id: int
    environment: Environment
    pipeline: str
    table: str = _named("table")
    ref: str
    found: SnapshotId | None
    state: str
    reason: str
    found_at: datetime
    closed_at: datetime | None
    closed_by: _Nobody = _named("closed_by")
    outcome: str = ""
    file: str | None = None
    why: str = ""


class PolicyRecord(PolicyRevision):
    """A revision of a policy, with the name of who set it; `pipeline` None: of the whole environment."""

    pipeline: str | None
    set_by_name: _Nobody


class PolicyView(BaseModel):
    """The newest revision of one scope."""

    revision: PolicyRecord
    pipeline: str | None


class PolicyInfo(Answer):
    """The newest revision for exactly this scope; `body` None: it was removed."""

    within = "revision"

    environment: Environment
    pipeline: str | None
    revision: int = Field(validation_alias=AliasChoices("id", "revision"))
    body: Policy | None
    set_by: _Nobody = _named("set_by")
    at: datetime


class GrantRecord(Grant):
    """A grant, with the name of the person or the team that it is for."""

    person: str | None
    team: str | None


class GrantInfo(Answer):
    """A role on a scope; `team` names the team through which a person has it."""

    id: int
    role: Role
    scope: ScopeKind
    scope_value: str
    team: str | None = None


class PersonRecord(PersonView):
    """An account with its teams and grants; `grants` is null for callers who may not see them: they are for Admins."""

    acts_for_name: _Nobody
    teams: tuple[str, ...]
    grants: tuple[GrantRecord, ...] | None


class PersonInfo(Answer):
    """An account with its teams and grants. `grants` None: only an Admin sees them."""

    name: str
    kind: PersonKind
    display_name: str
    email: str | None
    email_verified: bool
    acts_for: _Nobody = _named("acts_for")
    disabled_at: datetime | None
    teams: tuple[str, ...]
    grants: tuple[GrantInfo, ...] | None


class TeamRecord(Team):
    """A team with its members and grants; `grants` is null for callers who may not see them: they are for Admins."""

    members: tuple[str, ...]
    grants: tuple[GrantRecord, ...] | None


class TeamInfo(Answer):
    """A team with its members and grants. `grants` None: only an Admin sees them."""

    name: str
    members: tuple[str, ...]
    grants: tuple[GrantInfo, ...] | None


class Me(Answer):
    """Who calls, and what they may do at most.

    `can_return`: there is another way to sign in, so that the token in use can be forgotten. `has_password`: changing
    the password takes the current one. For an agent, `agent` is its name and `acts_for` its person; `unattended`: its
    token was issued for changes that nobody confirms.
    """

    name: str
    roles: tuple[str, ...]
    teams: tuple[str, ...]
    scopes: tuple[TokenScope, ...]
    can_return: bool
    has_password: bool = True
    agent: str = ""
    acts_for: str = ""
    unattended: bool = False


class MeHere(Me):
    """The same, and where the lifecycle is."""

    store: str


class SignedToken(Answer):
    """A signed token, which is shown this once, and for how many seconds it is good."""

    token: str
    expires_in: int


class Config(Answer):
    """What an Admin sets for the whole installation; `revision` is its ETag."""

    receivers: tuple[Receiver, ...] = ()
    revision: int = Field(default=0, exclude=True)


class AuditKey(Answer):
    """The public key of the audit head and of bundles, in hexadecimal."""

    key: str
