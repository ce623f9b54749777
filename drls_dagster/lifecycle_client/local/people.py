"""Accounts, teams, grants and tokens in a store of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from drls_dagster.lifecycle_client.interface import People
from drls_dagster.lifecycle_client.local.naming import Names
from drls_dagster.lifecycle_client.local.session import Session
from drls_dagster.lifecycle_client.results import GrantInfo, Me, PersonInfo, TeamInfo
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.environment import Role
from lifecycle.domain.people import PersonKind, ScopeKind, Team, WayIn
from lifecycle.store.schema import describe
from lifecycle.store.unit import View
from lifecycle.usecases.accounts import add_person, disable_person, set_password
from lifecycle.usecases.authenticate import authenticate
from lifecycle.usecases.change_password import change_password
from lifecycle.usecases.grants import add_grant, add_team, revoke_grant, set_member
from lifecycle.usecases.openid_accounts import link_person
from lifecycle.usecases.sign_in import sign_in, sign_out
from lifecycle.usecases.tokens import Issued, TokenView, issue_token, list_tokens, revoke_token


class LocalPeople(People):
    """Calls the use cases."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ctx = session.ctx

    def me(self) -> Me:
        identity = self._session.identity()
        with self._ctx.store.read() as view:
            person = view.people.get(identity.actor.person or 0)
            tokens = [one for one in view.people.tokens(person.id) if one.expires_at > view.now]
            others = [one for one in tokens if one.kind is TokenKind.PERSONAL and one.id != identity.actor.token]
            grants = view.people.grants(person.id)
            return Me(
                name=person.name,
                store=describe(self._ctx.store.engine),
                roles=tuple(sorted({f"{one.role.value} on {one.scope_value or 'everything'}" for one in grants})),
                teams=view.people.team_names(person.id),
                scopes=tuple(sorted(identity.scopes)),
                can_return=person.password_hash is not None or bool(others),
                has_password=person.password_hash is not None,
            )

    def list(self) -> tuple[PersonInfo, ...]:
        with self._ctx.store.read() as view:
            self._session.require(view, Role.VIEWER, "looking at accounts")
            names = Names(view)
            return tuple(names.person_info(person) for person in view.people.all())

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
        actor = self._session.acting(TokenScope.ADMIN)
        kind = PersonKind.HUMAN if acts_for is None else PersonKind.SERVICE
        add_person(
            self._ctx,
            actor,
            name,
            display_name=display_name,
            email=email,
            email_verified=email_verified,
            kind=kind,
            acts_for=acts_for,
            key=key,
        )
        return self._shown(name)

    def set_password(self, name: str, password: str, *, old: str | None = None) -> None:
        actor = self._session.identity().actor
        if name != actor.name:
            set_password(self._ctx, self._session.acting(TokenScope.ADMIN), name, password)
            return
        if old is not None:
            # A token is not enough to change a password: this is a session like a browser's.
            opened = sign_in(self._ctx, name, old, self._session.host)
            actor = authenticate(
                self._ctx, opened.secret, WayIn.CLI, host=self._session.host, kind=TokenKind.SESSION
            ).actor
        ended = change_password(self._ctx, actor, old, password)
        sign_out(self._ctx, ended.secret, self._session.host)

    def link(self, name: str, subject: str) -> PersonInfo:
        link_person(self._ctx, self._session.acting(TokenScope.ADMIN), name, subject)
        return self._shown(name)

    def disable(self, name: str) -> PersonInfo:
        disable_person(self._ctx, self._session.acting(TokenScope.ADMIN), name)
        return self._shown(name)

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
        actor = self._session.acting(TokenScope.ADMIN)
        added = add_grant(
            self._ctx, actor, role, person=person, team=team, scope=scope, scope_value=scope_value, key=key
        )
        with self._ctx.store.read() as view:
            return Names(view).grant(added)

    def revoke_grant(self, grant: int) -> GrantInfo:
        revoked = revoke_grant(self._ctx, self._session.acting(TokenScope.ADMIN), grant)
        with self._ctx.store.read() as view:
            return Names(view).grant(revoked)

    def teams(self) -> tuple[TeamInfo, ...]:
        with self._ctx.store.read() as view:
            self._session.require(view, Role.VIEWER, "looking at teams")
            return tuple(_team(view, team) for team in view.people.teams())

    def add_team(self, name: str, *, key: str | None = None) -> TeamInfo:
        team = add_team(self._ctx, self._session.acting(TokenScope.ADMIN), name, key=key)
        with self._ctx.store.read() as view:
            return _team(view, team)

    def set_member(self, team: str, person: str, *, member: bool) -> TeamInfo:
        changed = set_member(self._ctx, self._session.acting(TokenScope.ADMIN), team, person, member=member)
        with self._ctx.store.read() as view:
            return _team(view, changed)

    def tokens(self) -> tuple[TokenView, ...]:
        return list_tokens(self._ctx, self._session.acting(TokenScope.READ))

    def issue_token(
        self, name: str, *, scopes: Sequence[TokenScope], life: timedelta, owner: str | None = None
    ) -> Issued:
        identity = self._session.identity()
        return issue_token(
            self._ctx, identity.actor, name, scopes=scopes, life=life, within=identity.scopes, owner=owner
        )

    def revoke_token(self, token: int) -> TokenView:
        return revoke_token(self._ctx, self._session.identity().actor, token)

    def _shown(self, name: str) -> PersonInfo:
        with self._ctx.store.read() as view:
            return Names(view).person_info(view.people.named(name))


def _team(view: View, team: Team) -> TeamInfo:
    names = Names(view)
    return TeamInfo(
        name=team.name,
        members=tuple(person.name for person in view.people.members(team.id)),
        grants=tuple(names.grant(one) for one in view.people.all_grants() if one.team_id == team.id),
    )
