"""The life of a request to promote (L8): its states, and the changes that move it.

requested → approved → executing → done, or rejected, withdrawn, expired, stale, failed.
A failed execution can be resumed.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple, assert_never

from pydantic import BeforeValidator, Field

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.plan import Plan
from lifecycle.errors import Conflict, LeaseLost


class State(StrEnum):
    """The state of a request."""

    REQUESTED = "requested"
    APPROVED = "approved"
    EXECUTING = "executing"
    DONE = "done"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    STALE = "stale"
    FAILED = "failed"

    @property
    def standing(self) -> str:
        """The state of a request that is not over, as the end of "request 7 …"."""
        match self:
            case State.REQUESTED:
                return "waits for approval"
            case State.FAILED:
                return "failed and can be resumed"
            case _:
                return f"is {self.value}"

    @property
    def is_open(self) -> bool:
        """Whether people can still decide, withdraw, or wait for it."""
        return self in (State.REQUESTED, State.APPROVED)

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can happen to it."""
        return self in (State.DONE, State.REJECTED, State.WITHDRAWN, State.EXPIRED, State.STALE)


@lru_cache(maxsize=512)
def _read(text: str) -> Plan:
    return Plan.model_validate_json(text)


def _stored(value: object) -> object:
    return _read(value) if isinstance(value, str) else value


class Promotion(Frozen):
    """A request with the plan that is approved. `revision` counts its changes (compare-and-set).

    `pinned`: its candidates are kept by a tag, which goes when the request is over.
    """

    id: int
    revision: int
    pipeline_id: int
    version_id: int
    target: Environment
    state: State
    plan: Annotated[Plan, BeforeValidator(_stored)]
    plan_digest: str
    policy_id: int | None
    requested_by: int | None
    acted_for: int | None
    reason: str
    refresh_of: int | None
    requested_at: datetime
    expires_at: datetime
    approved_at: datetime | None
    finished_at: datetime | None
    outcome: str
    pinned: bool
    executor: str | None
    lease_until: datetime | None


class Answered(Promotion):
    """A request as an act leaves it. `waiting` says why it is not executed yet, where that was tried."""

    waiting: str = ""

    @classmethod
    def of(cls, promotion: Promotion, waiting: str = "") -> Answered:
        return cls.model_validate({**dict(promotion), "waiting": waiting})


class Ask(Frozen):
    """Who asked for a promotion of a version, for themselves or for somebody."""

    id: int
    version_id: int
    requested_by: int | None
    acted_for: int | None
    at: datetime


class Waits(NamedTuple):
    """Of a request what says for whom it waits: thousands of them are gone through for each page."""

    id: int
    pipeline_id: int
    version_id: int
    target: Environment
    policy_id: int | None
    requested_by: int | None


class Outline(Frozen):
    """A request as lists show it: without its plan, with the names that belong to it."""

    id: int
    pipeline_id: int
    pipeline: str
    version_id: int
    number: int
    digest: str
    kind: str
    source: Environment
    target: Environment
    state: State
    policy_id: int | None
    requested_by: int | None
    asked_by: str | None
    reason: str
    requested_at: datetime
    expires_at: datetime
    finished_at: datetime | None
    outcome: str


class Verdict(StrEnum):
    """What a person says to a request."""

    APPROVE = "approve"
    REJECT = "reject"


class Decision(Frozen):
    """A person's verdict on a plan digest, with what they were at that moment. Never changed."""

    id: int
    promotion_id: int
    person: int
    identity: str
    verdict: Verdict
    reason: str
    role: str
    teams: tuple[str, ...]
    own_work: bool
    plan_digest: str
    at: datetime


class Said(Decision):
    """A decision as it counts now: `lapsed` says why an approval no longer does, empty while it counts.

    It counts together with those of `one_with`, as one person's: one of them gave another a credential.
    """

    lapsed: str = ""
    one_with: tuple[str, ...] = ()


class Comment(Frozen):
    """A remark on a request. Never changed."""

    id: int
    promotion_id: int
    person: int
    body: str
    at: datetime


class Approved(Frozen):
    """The quorum is met."""

    kind: Literal["approved"] = "approved"
    at: datetime


class Reopened(Frozen):
    """The quorum is no longer met: an approval lapsed before anything moved."""

    kind: Literal["reopened"] = "reopened"
    now: datetime


class Ended(Frozen):
    """Over without effect, with the reason in `outcome`."""

    kind: Literal["ended"] = "ended"
    state: Literal[State.REJECTED, State.WITHDRAWN, State.EXPIRED, State.STALE]
    outcome: str
    at: datetime


class Started(Frozen):
    """An executor took it, or took it over after a lease ran out or a failure."""

    kind: Literal["started"] = "started"
    executor: str
    lease_until: datetime
    now: datetime


class Finished(Frozen):
    """The target runs the version."""

    kind: Literal["finished"] = "finished"
    executor: str
    at: datetime


class Broken(Frozen):
    """Execution could not continue; everything that had moved stays in the journal for resume."""

    kind: Literal["broken"] = "broken"
    executor: str
    outcome: str


class Undone(Frozen):
    """Execution ended in nothing: what had moved is back."""

    kind: Literal["undone"] = "undone"
    executor: str
    state: Literal[State.STALE, State.WITHDRAWN]
    outcome: str
    at: datetime


Change = Annotated[Approved | Reopened | Ended | Started | Finished | Broken | Undone, Field(discriminator="kind")]


def apply(promotion: Promotion, change: Change) -> Promotion:
    """The request after `change`. Raises Conflict when its state does not allow the change."""
    match change:
        case Approved():
            _expect(promotion, State.REQUESTED, doing="approved")
            return _next(promotion, state=State.APPROVED, approved_at=change.at)
        case Reopened():
            _expect(promotion, State.APPROVED, State.FAILED, State.EXECUTING, doing="reopened")
            _expect_free(promotion, change.now)
            return _next(
                promotion, state=State.REQUESTED, approved_at=None, executor=None, lease_until=None, outcome=""
            )
        case Ended():
            _expect(promotion, State.REQUESTED, State.APPROVED, State.FAILED, doing=change.state.value)
            return _next(promotion, state=change.state, outcome=change.outcome, finished_at=change.at)
        case Started():
            _expect(promotion, State.APPROVED, State.FAILED, State.EXECUTING, doing="executed")
            _expect_free(promotion, change.now)
            return _next(
                promotion,
                state=State.EXECUTING,
                executor=change.executor,
                lease_until=change.lease_until,
                outcome="",
            )
        case Finished():
            _expect_executor(promotion, change.executor)
            return _next(promotion, state=State.DONE, finished_at=change.at, lease_until=None)
        case Broken():
            _expect_executor(promotion, change.executor)
            return _next(promotion, state=State.FAILED, outcome=change.outcome, lease_until=None)
        case Undone():
            _expect_executor(promotion, change.executor)
            return _next(promotion, state=change.state, outcome=change.outcome, finished_at=change.at, lease_until=None)
        case _:
            assert_never(change)


def _expect_free(promotion: Promotion, now: datetime) -> None:
    """Raises Conflict while another executor holds the request."""
    over = promotion.lease_until is None or promotion.lease_until <= now
    if promotion.state is State.EXECUTING and not over:
        raise Conflict(f"request {promotion.id} is being executed by {promotion.executor}; wait until it finishes")


def _expect(promotion: Promotion, *states: State, doing: str) -> None:
    if promotion.state not in states:
        why = f" ({promotion.outcome})" if promotion.outcome else ""
        raise Conflict(f"request {promotion.id} is {promotion.state.value}{why} and can no longer be {doing}")


def _expect_executor(promotion: Promotion, executor: str) -> None:
    if promotion.state is not State.EXECUTING or promotion.executor != executor:
        raise LeaseLost(
            f"request {promotion.id} is {promotion.state.value}, executed by {promotion.executor}: "
            f"{executor} lost its lease and stops"
        )


def _next(promotion: Promotion, **changed: Any) -> Promotion:
    return promotion.model_copy(update={**changed, "revision": promotion.revision + 1})
