"""Accounts, teams, grants and tokens on a server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from drls_dagster.lifecycle_client.http.session import HttpSession, send
from drls_dagster.lifecycle_client.interface import People
from drls_dagster.lifecycle_client.results import GrantInfo, Me, PersonInfo, TeamInfo
from lifecycle.domain.credentials import TokenScope
from lifecycle.domain.environment import Role
from lifecycle.domain.people import Grant, PersonKind, ScopeKind
from lifecycle.errors import Forbidden
from lifecycle.usecases.accounts import PersonView
from lifecycle.usecases.tokens import Issued, TokenView


class HttpPeople(People):
    """Asks the server."""

    def __init__(self, session: HttpSession) -> None:
        self._session = session

    def me(self) -> Me:
        # Another way in is a matter of the server's Admins; forgetting a token here shuts nobody out for good.
        found = self._session.get("/api/me")
        return Me.model_validate({**found, "store": str(self._session.client.base_url), "can_return": True})

    def list(self) -> tuple[PersonInfo, ...]:
        people = [PersonView.model_validate(one) for one in self._session.get("/api/people")["items"]]
        names = {one.id: one.name for one in people}
        teams = self._session.get("/api/teams")["items"]
        team_names = {one["id"]: one["name"] for one in teams}
        grants = self._grants()
        found: list[PersonInfo] = []
        for person in people:
            own = [team["name"] for team in teams if person.name in team["members"]]
            found.append(
                _person(
                    person,
                    acts_for=names.get(person.acts_for or 0),
                    teams=own,
                    grants=[
                        _grant(one, team_names.get(one.team_id or 0))
                        for one in grants
                        if one.person_id == person.id or team_names.get(one.team_id or 0) in own
                    ],
                )
            )
        return tuple(found)

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
        body = {
            "name": name,
            "display_name": display_name,
            "email": email,
            "email_verified": email_verified,
            "kind": (PersonKind.SERVICE if acts_for else PersonKind.HUMAN).value,
            "acts_for": acts_for,
        }
        added = self._session.call("POST", "/api/people", json=body, key=key).json()
        return _person(PersonView.model_validate(added), acts_for=acts_for)

    def set_password(self, name: str, password: str, *, old: str | None = None) -> None:
        if self._session.get("/api/me")["name"] != name:
            self._session.call("PUT", f"/api/people/{name}/password", json={"password": password})
            return
        if old is None:
            raise Forbidden("set your first password on your profile page in the app; a token is not enough for it")
        client = self._session.client
        opened = send(client, "POST", "/api/session", json={"account": name, "password": old}).json()
        try:
            headers = {"X-CSRF-Token": opened["csrf"]}
            send(client, "PUT", "/api/me/password", json={"password": password, "old": old}, headers=headers)
        finally:
            send(client, "DELETE", "/api/session")

    def link(self, name: str, subject: str) -> PersonInfo:
        answer = self._session.call("PUT", f"/api/people/{name}/subject", json={"subject": subject})
        linked = PersonView.model_validate(answer.json())
        return _person(linked, acts_for=self._session.person(linked.acts_for))

    def disable(self, name: str) -> PersonInfo:
        disabled = PersonView.model_validate(self._session.call("DELETE", f"/api/people/{name}").json())
        return _person(disabled, acts_for=self._session.person(disabled.acts_for))

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
        body = {"role": role.value, "person": person, "team": team, "scope": scope.value, "scope_value": scope_value}
        added = self._session.call("POST", "/api/grants", json=body, key=key).json()
        return _grant(Grant.model_validate(added), team)

    def revoke_grant(self, grant: int) -> GrantInfo:
        revoked = Grant.model_validate(self._session.call("DELETE", f"/api/grants/{grant}").json())
        teams = {one["id"]: one["name"] for one in self._session.get("/api/teams")["items"]}
        return _grant(revoked, teams.get(revoked.team_id or 0))

    def teams(self) -> tuple[TeamInfo, ...]:
        grants = self._grants()
        return tuple(
            TeamInfo(
                name=one["name"],
                members=tuple(one["members"]),
                grants=tuple(_grant(grant, one["name"]) for grant in grants if grant.team_id == one["id"]),
            )
            for one in self._session.get("/api/teams")["items"]
        )

    def add_team(self, name: str, *, key: str | None = None) -> TeamInfo:
        self._session.call("POST", "/api/teams", json={"name": name}, key=key)
        return next(one for one in self.teams() if one.name == name)

    def set_member(self, team: str, person: str, *, member: bool) -> TeamInfo:
        self._session.call("PUT" if member else "DELETE", f"/api/teams/{team}/members/{person}")
        return next(one for one in self.teams() if one.name == team)

    def tokens(self) -> tuple[TokenView, ...]:
        return tuple(TokenView.model_validate(one) for one in self._session.get("/api/me/tokens")["items"])

    def issue_token(
        self, name: str, *, scopes: Sequence[TokenScope], life: timedelta, owner: str | None = None
    ) -> Issued:
        path = f"/api/people/{owner}/tokens" if owner else "/api/me/tokens"
        body = {"name": name, "scopes": [scope.value for scope in scopes], "days": life.days}
        return Issued.model_validate(self._session.call("POST", path, json=body).json())

    def revoke_token(self, token: int) -> TokenView:
        return TokenView.model_validate(self._session.call("DELETE", f"/api/me/tokens/{token}").json())

    def _grants(self) -> Sequence[Grant]:
        """Every living grant; an Admin's to read, so none for others."""
        try:
            return [Grant.model_validate(one) for one in self._session.get("/api/grants")["items"]]
        except Forbidden:
            return []


def _person(
    person: PersonView, *, acts_for: str | None, teams: Sequence[str] = (), grants: Sequence[GrantInfo] = ()
) -> PersonInfo:
    values: dict[str, Any] = person.model_dump(exclude={"id", "created_at"})
    return PersonInfo.model_validate({**values, "acts_for": acts_for, "teams": tuple(teams), "grants": tuple(grants)})


def _grant(grant: Grant, team: str | None) -> GrantInfo:
    return GrantInfo(
        id=grant.id,
        role=grant.role,
        scope=grant.scope,
        scope_value=grant.scope_value,
        team=team if grant.team_id is not None else None,
    )
