"""What requests carry and lists answer; everything else is the domain's own models."""

from __future__ import annotations

from base64 import b64decode
from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.environment import Environment, Role, Stage
from lifecycle.domain.newer_runs import NewerRuns
from lifecycle.domain.people import PersonKind, ScopeKind
from lifecycle.domain.policy import Hold, PolicyRevision
from lifecycle.domain.promotion import Comment, Promotion, Said, Verdict
from lifecycle.domain.releases import TableThen
from lifecycle.domain.run import Drift
from lifecycle.domain.version import Deployment, Label, Version
from lifecycle.errors import Invalid
from lifecycle.spec.closure import MAX_CODE_BYTES, MAX_CODE_FILES
from lifecycle.usecases.set_receivers import MOST, Receiver

Item = TypeVar("Item")
_TEXT = r"^[^\x00]*$"
Text = Annotated[str, Field(max_length=10_000, pattern=_TEXT)]
Reason = Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
Name = Annotated[str, Path(max_length=63, pattern=r"^[a-z][a-z0-9_]*$")]
PersonName = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Number = Annotated[int, Path(ge=1, le=2**31)]
Id = Annotated[int, Path(ge=1, le=2**53)]
TableName = Annotated[str, Path(min_length=1, max_length=500)]
Cursor = Annotated[int | None, Query(ge=1, le=2**53)]
QueryText = Annotated[str, Query(max_length=200, pattern=_TEXT)]
PublicKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Limit = Annotated[int, Query(ge=1, le=500)]
IdempotencyKey = Annotated[str | None, Header(max_length=200, pattern=r"^[!-~]+$")]
IfMatch = Annotated[str | None, Header(max_length=200, pattern=r"^[ -~]+$")]


class Body(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Page(BaseModel, Generic[Item]):
    """One page; `next` is the cursor of the one after it, or null."""

    items: list[Item]
    next: str | None = None


class SignIn(Body):
    account: Annotated[str, Field(max_length=64, pattern=_TEXT)]
    password: Annotated[str, Field(max_length=1_000, pattern=_TEXT)]


class UseLink(Body):
    secret: Annotated[str, Field(max_length=200, pattern=_TEXT)]


class SignedIn(BaseModel):
    """`csrf` goes back in the header X-CSRF-Token with every change."""

    csrf: str
    expires_at: datetime


class Me(BaseModel):
    name: str
    scopes: list[TokenScope]
    roles: list[str]
    teams: list[str]
    has_password: bool


class SignedToken(BaseModel):
    token: str
    expires_in: int


class NewPassword(Body):
    password: Annotated[str, Field(min_length=12, max_length=1_000, pattern=_TEXT)]


class ChangedPassword(NewPassword):
    """`old` is the current password; only an account without one does without."""

    old: Annotated[str, Field(max_length=1_000, pattern=_TEXT)] | None = None


class NewSubject(Body):
    """Who somebody is at the OpenID Connect provider: `issuer|subject`."""

    subject: Annotated[str, Field(min_length=3, max_length=500, pattern=r"^https?://[^|\s\x00]+\|[^\x00]+$")]


class NewToken(Body):
    name: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^\S[^\x00]*$")]
    scopes: Annotated[tuple[TokenScope, ...], Field(min_length=1, max_length=4)]
    days: Annotated[int, Field(ge=1, le=366)] = 30

    @property
    def life(self) -> timedelta:
        return timedelta(days=self.days)


class Definition(Body):
    """`definition` is the pipeline file: as YAML or JSON text, or as a JSON object. `code` are the files of the local
    code that it imports, in base64 by path; without it, code is looked for on the server."""

    definition: dict[str, Any] | Annotated[str, Field(max_length=2_000_000)]
    message: Text = ""
    on: Annotated[int, Field(ge=1, le=2**31)] | None = None
    code: Annotated[dict[str, str], Field(max_length=MAX_CODE_FILES)] | None = None

    def files(self) -> dict[str, bytes] | None:
        """The code's files. Raises Invalid for what is not base64, or larger than what is kept."""
        if self.code is None:
            return None
        if sum(map(len, self.code.values())) > MAX_CODE_BYTES * 3 // 2:
            raise Invalid(f"the pipeline's code is larger than {MAX_CODE_BYTES:,} bytes; keep data out of it")
        try:
            return {path: b64decode(text, validate=True) for path, text in self.code.items()}
        except ValueError:
            raise Invalid("the pipeline's code is not base64") from None


class VersionHead(BaseModel):
    number: int
    digest: str
    message: str
    author: str
    created_at: datetime
    stage: Stage
    active_in: list[Environment]


class VersionDetail(VersionHead):
    pipeline: str
    definition: dict[str, Any]
    origin: dict[str, Any]


class PipelineHead(BaseModel):
    name: str
    newest: int
    active: dict[Environment, int]


class To(Body):
    target: Environment


class Promote(Body):
    target: Environment
    reason: Text = ""
    if_plan: Annotated[str, Field(max_length=100)] | None = None


class WithReason(Body):
    reason: Reason


class Retire(WithReason):
    consent: bool = False


class BreakGlass(WithReason):
    target: Environment


class Clone(Body):
    to: Annotated[str, Field(max_length=63, pattern=r"^[a-z][a-z0-9_]*$")] | None = None


class Decide(Body):
    plan_digest: Annotated[str, Field(max_length=100)]
    reason: Text = ""


class Deny(Body):
    plan_digest: Annotated[str, Field(max_length=100)]
    reason: Reason


class Review(Deny):
    verdict: Verdict


class Withdraw(Body):
    reason: Text = ""


class NewComment(Body):
    body: Reason


class ApprovalDetail(BaseModel):
    """A request with everything that people said to it, and who may still approve.

    An approval that no longer counts says why in `lapsed`; `newer_runs` are those since the evidence.
    """

    request: Promotion
    decisions: list[Said]
    comments: list[Comment]
    may_approve: list[str]
    newer_runs: NewerRuns


class Running(BaseModel):
    """What is, or was, active."""

    environment: Environment
    pipeline: str
    version: int
    digest: str
    label: Label
    since: datetime
    promotion: int | None
    approved_by: list[str]
    tables: list[TableThen]
    deployment: Deployment


class Rollback(Body):
    pipeline: Annotated[str, Field(max_length=63, pattern=_TEXT)]
    reason: Reason
    data: bool = False
    consent: Annotated[str, Field(max_length=100)] | None = None


class PlanRollback(Body):
    pipeline: Annotated[str, Field(max_length=63, pattern=_TEXT)]
    data: bool = False


class OfPipeline(Body):
    pipeline: Annotated[str, Field(max_length=63, pattern=_TEXT)]


class NewHold(Body):
    reason: Reason
    pipeline: Annotated[str, Field(max_length=63, pattern=_TEXT)] | None = None


class HoldView(BaseModel):
    """A freeze or a stop; `pipeline` None: of the whole environment."""

    hold: Hold
    pipeline: str | None


class DriftView(BaseModel):
    """A head that nobody answers for, with the name of the pipeline that writes the table."""

    drift: Drift
    pipeline: str


class PolicyView(BaseModel):
    """The newest revision of one scope; `pipeline` None: of the whole environment."""

    revision: PolicyRevision
    pipeline: str | None


class AuditKey(BaseModel):
    """The public key of the audit head and of bundles, in hexadecimal."""

    key: str


class NewPerson(Body):
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    display_name: Text = ""
    email: Annotated[str, Field(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$")] | None = None
    email_verified: bool = False
    kind: PersonKind = PersonKind.HUMAN
    acts_for: Annotated[str, Field(max_length=64, pattern=_TEXT)] | None = None


class NewTeam(Body):
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class TeamView(BaseModel):
    id: int
    name: str
    members: list[str]


class NewGrant(Body):
    role: Role
    person: Annotated[str, Field(max_length=64, pattern=_TEXT)] | None = None
    team: Annotated[str, Field(max_length=64, pattern=_TEXT)] | None = None
    scope: ScopeKind = ScopeKind.EVERYTHING
    scope_value: Annotated[str, Field(max_length=200, pattern=_TEXT)] = ""


class Config(Body):
    """What an Admin sets for the whole installation."""

    receivers: Annotated[tuple[Receiver, ...], Field(max_length=MOST)] = ()


class Health(BaseModel):
    status: str
    sequence: int


def version_head(version: Version, author: str, stage: Stage, active_in: list[Environment]) -> dict[str, Any]:
    """The fields of VersionHead."""
    return {
        "number": version.number,
        "digest": version.digest,
        "message": version.message,
        "author": author,
        "created_at": version.created_at,
        "stage": stage,
        "active_in": active_in,
    }
