"""People, teams, grants, and who acts. A grant is role × scope (A2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from lifecycle.domain.model import Frozen
from lifecycle.domain.roles import Role


class PersonKind(StrEnum):
    """A service account is for programs. An agent has its person's rights (A8). Only people approve (L6)."""

    HUMAN = "human"
    SERVICE = "service"
    AGENT = "agent"


class Person(Frozen):
    """An account. Accounts with one verified address are one person (`identity`, L6).

    `agent` is the name under which an agent's person knows it, such as `claude` of the account `claude.ada`.
    """

    id: int
    name: str
    kind: PersonKind
    display_name: str
    email: str | None
    email_verified: bool
    password_hash: str | None
    subject: str | None
    acts_for: int | None
    access_epoch: int
    disabled_at: datetime | None
    created_at: datetime
    agent: str | None = None

    @property
    def identity(self) -> str:
        """What makes two accounts one person: the verified address, else the account itself."""
        if self.email and self.email_verified:
            return f"email:{self.email.strip().casefold()}"
        return f"account:{self.id}"


class Team(Frozen):
    """A named group of people."""

    id: int
    name: str
    created_at: datetime


class ScopeKind(StrEnum):
    """How far a grant reaches."""

    EVERYTHING = "everything"
    TAG = "tag"
    PIPELINE = "pipeline"


class Grant(Frozen):
    """A role of a person or of a team, on a scope. `scope_value` is `key=value` or a pipeline's name."""

    id: int
    person_id: int | None
    team_id: int | None
    role: Role
    scope: ScopeKind
    scope_value: str
    granted_by: int | None
    granted_at: datetime
    revoked_at: datetime | None


class Target(Frozen):
    """What a role is asked for: a pipeline with its tags, or (no name) the whole installation."""

    pipeline: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)


class WayIn(StrEnum):
    """Through what a command came (A4)."""

    CLI = "cli"
    REST = "rest"
    WEB = "web"
    MCP = "mcp"
    DAGSTER = "dagster"
    SYSTEM = "system"


WAY_IN = "DRLS-Way-In"
"""The header in which an agent's program says how its calls came; of people nothing is believed (A4)."""


class Actor(Frozen):
    """Who gives a command; `person` is None for the system itself, which decides nothing.

    `token` is the personal token or session that they came with; `signed`: with a signed token made from it.
    `part` is set where the installation acts for them: the part of it that does, such as the steps of their run.
    `acts_for` names the person behind an agent or a service account.
    """

    person: int | None
    name: str
    way_in: WayIn
    host: str = ""
    os_user: str = ""
    token: int | None = None
    signed: Literal[True] | None = None
    part: str | None = None
    acts_for: str | None = None

    @property
    def audited(self) -> dict[str, Any]:
        """What the audit log keeps of an actor: the person only when known (A4)."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def idempotency(self) -> str:
        """Whose idempotency keys these are: two people may use the same key."""
        return f"person:{self.person}" if self.person is not None else f"system:{self.name}"


def system_actor(name: str, way_in: WayIn = WayIn.SYSTEM, host: str = "", os_user: str = "") -> Actor:
    """The installation acting on its own: a sensor, a code location, the reconciler."""
    return Actor(person=None, name=name, way_in=way_in, host=host, os_user=os_user)


def reaches(grant: Grant, target: Target) -> bool:
    """Whether a grant covers `target`; only a grant on everything covers the installation."""
    match grant.scope:
        case ScopeKind.EVERYTHING:
            return True
        case ScopeKind.PIPELINE:
            return target.pipeline is not None and grant.scope_value == target.pipeline
        case ScopeKind.TAG:
            return grant.scope_value in {f"{key}={value}" for key, value in target.tags.items()}


def role_on(grants: Iterable[Grant], target: Target) -> Role | None:
    """The highest role that living grants give on `target`, or None."""
    roles = [grant.role for grant in grants if grant.revoked_at is None and reaches(grant, target)]
    return max(roles, key=lambda role: role.rank, default=None)


def common_tags(every: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The tags that all of `every` have: a new version cannot widen who may decide about it."""
    found: list[Mapping[str, str]] = list(every)
    if not found:
        return {}
    return {k: v for k, v in found[0].items() if all(other.get(k) == v for other in found)}
