"""Accounts, teams, grants and tokens: what can be asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta

from drls_dagster.lifecycle_client.results import GrantInfo, Me, PersonInfo, TeamInfo
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.environment import Role
from lifecycle.domain.people import ScopeKind
from lifecycle.usecases.tokens import Issued, TokenView


class People(ABC):
    """Accounts, teams, grants and tokens."""

    @abstractmethod
    def me(self) -> Me:
        """Whose token this is."""

    @abstractmethod
    def list(self) -> tuple[PersonInfo, ...]:
        """Every account."""

    @abstractmethod
    def add(
        self,
        name: str,
        *,
        display_name: str = "",
        email: str | None = None,
        email_verified: bool = False,
        acts_for: str | None = None,
        key: str | None = None,
    ) -> PersonInfo:
        """A new account; `acts_for` makes it a service account."""

    @abstractmethod
    def set_password(self, name: str, password: str, *, old: str | None = None) -> None:
        """One's own, with the `old` one where there is one, or (Admin) another's; every token of the account ends."""

    @abstractmethod
    def link(self, name: str, subject: str) -> PersonInfo:
        """Whoever the OpenID Connect provider knows as `subject` (issuer|subject) signs in as `name`."""

    @abstractmethod
    def disable(self, name: str) -> PersonInfo:
        """Ends every token; history keeps the name."""

    @abstractmethod
    def grant(
        self,
        role: Role,
        *,
        person: str | None = None,
        team: str | None = None,
        scope: ScopeKind = ScopeKind.EVERYTHING,
        scope_value: str = "",
        key: str | None = None,
    ) -> GrantInfo:
        """A role for a person or a team."""

    @abstractmethod
    def revoke_grant(self, grant: int) -> GrantInfo:
        """Takes a grant away."""

    @abstractmethod
    def teams(self) -> tuple[TeamInfo, ...]:
        """Every team."""

    @abstractmethod
    def add_team(self, name: str, *, key: str | None = None) -> TeamInfo:
        """A team without members."""

    @abstractmethod
    def set_member(self, team: str, person: str, *, member: bool) -> TeamInfo:
        """Puts a person into a team, or out of it."""

    @abstractmethod
    def tokens(self) -> tuple[TokenView, ...]:
        """One's own living tokens."""

    @abstractmethod
    def issue_token(
        self, name: str, *, scopes: Sequence[TokenScope], life: timedelta, owner: str | None = None
    ) -> Issued:
        """A token for oneself or (Admin) for a service account, no wider than the one in use."""

    @abstractmethod
    def revoke_token(self, token: int) -> TokenView:
        """Ends a token."""
