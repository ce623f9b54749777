"""Grants, roles and scopes in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.people import Grant, ScopeKind
from lifecycle.domain.roles import Role

ROLE_MEANS = {
    Role.VIEWER: "sees pipelines, plans and decisions",
    Role.DATA_ENGINEER: "saves versions, requests promotions, launches runs",
    Role.LEAD: "also approves, demotes, rolls back, freezes and stops",
    Role.ADMIN: "also sets policies, people and notifications, and reads the audit log",
}
SCOPE_MEANS = {
    TokenScope.READ: "read everything you may see",
    TokenScope.WRITE: "save, request promotions, comment",
    TokenScope.APPROVE: "approve and reject",
    TokenScope.ADMIN: "settings, people, policies",
}


@dataclass(frozen=True, slots=True)
class GrantLine:
    """A living grant: what it gives, where, and through which team (none: the person's own)."""

    id: int
    role: Role
    reach: str
    team: str | None
    means: str


def reach_words(grant: Grant) -> str:
    """Where a grant counts."""
    match grant.scope:
        case ScopeKind.EVERYTHING:
            return "everything"
        case ScopeKind.TAG:
            return f"pipelines tagged {grant.scope_value}"
        case ScopeKind.PIPELINE:
            return f"the pipeline {grant.scope_value}"


def grant_lines(grants: Iterable[Grant], teams: Mapping[int, str]) -> tuple[GrantLine, ...]:
    """Grants for people; `teams` are names by id. The highest role comes first."""
    ordered = sorted(grants, key=lambda one: (-one.role.rank, one.id))
    return tuple(
        GrantLine(one.id, one.role, reach_words(one), teams.get(one.team_id or 0), ROLE_MEANS[one.role])
        for one in ordered
    )
