"""Accounts, teams, grants and tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from annotated_types import MaxLen, MinLen

from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import PersonKind, ScopeKind, Target
from lifecycle.domain.roles import Role
from lifecycle.store.unit import View
from lifecycle.usecases import accounts, agents, grants, tokens
from lifecycle.usecases.agents import AgentView
from lifecycle.usecases.openid_accounts import link_person
from lifecycle.usecases.parts.access import require
from lifecycle.usecases.parts.signed_tokens import sign_token
from lifecycle.usecases.tokens import Issued, TokenView
from lifecycle.verbs import inputs
from lifecycle.verbs.answers import (
    GrantInfo,
    GrantRecord,
    Me,
    Page,
    PersonInfo,
    PersonRecord,
    SignedToken,
    TeamInfo,
    TeamRecord,
)
from lifecycle.verbs.inputs import Key
from lifecycle.verbs.verb import Call, answers, lists

Scopes = Annotated[tuple[TokenScope, ...], MinLen(1), MaxLen(len(TokenScope))]


@answers(Me)
def me(call: Call) -> Me:
    """Who the caller is."""
    with call.read() as (view, names):
        person = view.people.get(call.who.person or 0)
        living = [one for one in view.people.tokens(person.id) if one.expires_at > view.now]
        others = [one for one in living if one.kind is TokenKind.PERSONAL and one.id != call.who.token]
        token = view.people.token(call.who.token) if call.who.token and not call.who.signed else None
        return Me(
            name=person.name,
            roles=tuple(
                sorted(
                    {f"{one.role.value} on {one.scope_value or 'everything'}" for one in view.people.grants(person.id)}
                )
            ),
            teams=view.people.team_names(person.id),
            scopes=tuple(sorted(call.scopes)),
            can_return=person.password_hash is not None or bool(others),
            has_password=person.password_hash is not None,
            agent=person.agent or "",
            acts_for=names.person(person.acts_for) if person.acts_for else "",
            unattended=token is not None and token.unattended is True,
        )


@answers(SignedToken)
def signed_token(call: Call) -> SignedToken:
    """A JSON Web Token for 15 minutes, with the scopes of what the caller showed: a token or a session.

    It ends with what it was made with, and makes no other token.
    """
    signed = sign_token(call.ctx, call.who, tuple(sorted(call.scopes)))
    return SignedToken(token=signed.text, expires_in=signed.seconds)


@answers(SignedToken)
def agent_token(call: Call, agent: inputs.AgentName) -> SignedToken:
    """A JSON Web Token for 15 minutes for an agent that acts for you, with the scopes of yours, read and write at most.

    The agent's account is made when it does not exist. The token ends with what it was made with.
    """
    signed = agents.agent_token(call.ctx, call.who, agent, call.scopes)
    return SignedToken(token=signed.text, expires_in=signed.seconds)


@lists(AgentView)
def list_agents(call: Call) -> Page[AgentView]:
    """The agents that act for the caller."""
    return Page(items=list(agents.list_agents(call.ctx, call.who)))


@answers(Issued)
def issue_agent_token(
    call: Call,
    agent: inputs.AgentName,
    scopes: Scopes,
    days: inputs.Days = 30,
    *,
    name: inputs.ShortText = "",
    unattended: bool = False,
) -> Issued:
    """A token for an agent that acts for you; its secret is shown this once. It is for read and write at most.

    The agent's account is made when it does not exist, and started again when it was ended. `unattended`: the agent
    changes things without asking anyone to confirm.
    """
    return agents.issue_agent_token(
        call.ctx,
        call.who,
        agent,
        scopes=scopes,
        life=timedelta(days=days),
        within=call.scopes,
        name=name,
        unattended=unattended,
    )


@answers(AgentView)
def end_agent(call: Call, agent: inputs.AgentName) -> AgentView:
    """Ends an agent that acts for you, with all its tokens, until you issue it a token again."""
    return agents.end_agent(call.ctx, call.who, agent)


@lists(PersonInfo)
def list_people(call: Call) -> Page[PersonRecord]:
    """All accounts, by name. Their grants are for Admins."""
    with call.read() as (view, names):
        see = _is_admin(view, call)
        return Page(items=[names.account(one, grants=see) for one in view.people.all()])


@answers(PersonInfo)
def add(
    call: Call,
    name: inputs.NewName,
    *,
    display_name: inputs.Text = "",
    email: inputs.Email | None = None,
    email_verified: bool = False,
    kind: PersonKind | None = None,
    acts_for: inputs.AccountName | None = None,
    key: Key = None,
) -> PersonRecord:
    """An account without password and grants; `acts_for` makes it a service account."""
    accounts.add_person(
        call.ctx,
        call.who,
        name,
        display_name=display_name,
        email=email,
        email_verified=email_verified,
        kind=kind or (PersonKind.HUMAN if acts_for is None else PersonKind.SERVICE),
        acts_for=acts_for,
        key=key,
    )
    return _account(call, name)


@answers(PersonInfo)
def disable(call: Call, person: inputs.PersonName) -> PersonRecord:
    """Disables an account; its name and history stay."""
    accounts.disable_person(call.ctx, call.who, person)
    return _account(call, person)


@answers(type(None))
def set_password(call: Call, person: inputs.PersonName, password: inputs.Password) -> None:
    """Sets somebody else's password."""
    accounts.set_password(call.ctx, call.who, person, password)


@answers(PersonInfo)
def link(call: Call, person: inputs.PersonName, subject: inputs.Subject) -> PersonRecord:
    """Links an account with somebody at the OpenID Connect provider: `issuer|subject`."""
    link_person(call.ctx, call.who, person, subject)
    return _account(call, person)


@lists(TeamInfo)
def list_teams(call: Call) -> Page[TeamRecord]:
    """Teams with their members. Their grants are for Admins."""
    with call.read() as (view, names):
        see = _is_admin(view, call)
        return Page(items=[names.team(one, grants=see) for one in view.people.teams()])


@answers(TeamInfo)
def add_team(call: Call, name: inputs.NewName, *, key: Key = None) -> TeamRecord:
    """A team without members."""
    team = grants.add_team(call.ctx, call.who, name, key=key)
    return call.named(lambda names: names.team(team, grants=True))


@answers(TeamInfo)
def join(call: Call, team: inputs.PersonName, person: inputs.PersonName) -> TeamRecord:
    """Adds a person to a team."""
    changed = grants.set_member(call.ctx, call.who, team, person, member=True)
    return call.named(lambda names: names.team(changed, grants=True))


@answers(TeamInfo)
def leave(call: Call, team: inputs.PersonName, person: inputs.PersonName) -> TeamRecord:
    """Removes a person from a team."""
    changed = grants.set_member(call.ctx, call.who, team, person, member=False)
    return call.named(lambda names: names.team(changed, grants=True))


@lists(GrantInfo)
def list_grants(call: Call) -> Page[GrantRecord]:
    """Living grants."""
    with call.read() as (view, names):
        require(view, call.who, Role.ADMIN, Target(), "reading grants")
        return Page(items=names.grants(view.people.all_grants()))


@answers(GrantInfo)
def grant(
    call: Call,
    role: Role,
    *,
    person: inputs.AccountName | None = None,
    team: inputs.AccountName | None = None,
    scope: ScopeKind = ScopeKind.EVERYTHING,
    scope_value: inputs.ShortText = "",
    key: Key = None,
) -> GrantRecord:
    """Grants a person or a team a role on a scope."""
    added = grants.add_grant(
        call.ctx, call.who, role, person=person, team=team, scope=scope, scope_value=scope_value, key=key
    )
    return call.named(lambda names: names.grant(added))


@answers(GrantInfo)
def revoke_grant(call: Call, grant_id: inputs.Id) -> GrantRecord:
    """Revokes a grant."""
    revoked = grants.revoke_grant(call.ctx, call.who, grant_id)
    return call.named(lambda names: names.grant(revoked))


@lists(TokenView)
def list_tokens(call: Call) -> Page[TokenView]:
    """The caller's living tokens."""
    return Page(items=list(tokens.list_tokens(call.ctx, call.who)))


@answers(Issued)
def issue_token(call: Call, name: inputs.TokenName, scopes: Scopes, days: inputs.Days = 30) -> Issued:
    """A personal token; its secret is shown this once. It reaches no further than what the caller showed."""
    return _issue(call, name, scopes, days, None)


@answers(Issued)
def issue_service_token(
    call: Call, person: inputs.PersonName, name: inputs.TokenName, scopes: Scopes, days: inputs.Days = 30
) -> Issued:
    """A token for a service account; it reaches no further than what the caller showed."""
    return _issue(call, name, scopes, days, person)


@answers(TokenView)
def revoke_token(call: Call, token_id: inputs.Id) -> TokenView:
    """Revokes a token."""
    return tokens.revoke_token(call.ctx, call.who, token_id)


def _issue(call: Call, name: str, scopes: tuple[TokenScope, ...], days: int, owner: str | None) -> Issued:
    life = timedelta(days=days)
    return tokens.issue_token(call.ctx, call.who, name, scopes=scopes, life=life, within=call.scopes, owner=owner)


def _account(call: Call, name: str) -> PersonRecord:
    with call.read() as (view, names):
        return names.account(view.people.named(name), grants=True)


def _is_admin(view: View, call: Call) -> bool:
    standing = view.people.standing(view.people.get(call.who.person or 0), Target())
    return standing.role is Role.ADMIN
