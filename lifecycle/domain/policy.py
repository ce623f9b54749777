"""What an environment asks of a promotion. No policy means no (L7)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import Field, field_validator

from lifecycle.domain.duration import Duration
from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.quorum import Quorum, parse_quorum
from lifecycle.domain.roles import Role
from lifecycle.domain.windows import Window


class Policy(Frozen):
    """The rules of one environment, for one pipeline or for all that have none of their own."""

    quorum: str = Field(default="1 LeadDataEngineer", description="Who must approve")
    approvals: Literal["required", "solo"] = Field(
        default="required", description="solo: people may approve their own work; it stays labelled unreviewed"
    )
    expires: Duration = Field(default=timedelta(days=7), description="How long a request stays open")
    soak: Duration = Field(
        default=timedelta(0), description="Minimum time a version must be active in the previous environment"
    )
    evidence_max_age: Duration | None = Field(
        default=None, description="Receipts older than this do not count as evidence"
    )
    evidence_parameters: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Parameters the evidence must have run with"
    )
    newest_run_passed: bool = Field(
        default=False, description="The newest run in the previous environment must have passed, not only the evidence"
    )
    fence: Literal["optional", "required"] = Field(
        default="optional", description="required: runs, and the runs used as evidence, must be fenced"
    )
    verify: Literal["sizes", "digests"] = Field(
        default="sizes",
        description="How to check the files that a promotion moves; sizes also reads local files that look changed",
    )
    windows: tuple[Window, ...] = ()
    schedules: bool | None = Field(default=None, description="Whether schedules run. Default: only in production")
    on_promote: Literal["nothing", "run"] = "nothing"
    break_glass: Role | None = Field(default=Role.LEAD, description="Who may deploy without approval; null: nobody")
    break_glass_review: Duration = Field(default=timedelta(days=2), description="How soon a release must be reviewed")
    reminder: Duration | None = Field(
        default=timedelta(days=1), description="How often approvers are reminded of pending requests"
    )

    @field_validator("quorum")
    @classmethod
    def _readable(cls, value: str) -> str:
        return str(parse_quorum(value))

    @field_validator("expires", "break_glass_review")
    @classmethod
    def _positive(cls, value: timedelta) -> timedelta:
        if value <= timedelta(0):
            raise ValueError("must be longer than zero")
        return value

    @property
    def parsed_quorum(self) -> Quorum:
        return parse_quorum(self.quorum)

    def schedules_run(self, environment: Environment) -> bool:
        """Whether cron schedules start runs in this environment (L4)."""
        return environment is Environment.PRODUCTION if self.schedules is None else self.schedules


class PolicyRevision(Frozen):
    """A policy as it was set; `body` None takes the pipeline's own policy away again."""

    id: int
    environment: Environment
    pipeline_id: int | None
    body: Policy | None
    set_by: int | None
    at: datetime


def says_the_same(one: Policy | None, other: Policy | None) -> bool:
    """Whether two policies ask the same; as JSON, in which the parameters 1, 1.0 and true differ."""
    texts = [json.dumps(policy.model_dump(mode="json"), sort_keys=True) if policy else "" for policy in (one, other)]
    return texts[0] == texts[1]


class HoldKind(StrEnum):
    """Freeze: nothing is promoted, demoted or rolled back, runs continue. Stop: nothing runs (L9)."""

    FREEZE = "freeze"
    STOP = "stop"


class Hold(Frozen):
    """A freeze or a stop, set by a person, of one pipeline or (None) of an environment."""

    id: int
    kind: HoldKind
    environment: Environment
    pipeline_id: int | None
    reason: str
    set_by: int | None
    set_at: datetime
    lifted_at: datetime | None
    lifted_by: int | None


DEFAULT_POLICIES: dict[Environment, Policy] = {
    Environment.UAT: Policy(),
    Environment.PRODUCTION: Policy(expires=timedelta(days=7)),
}
