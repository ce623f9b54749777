"""Accounts and teams: the lists, and one page for each."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from lifecycle.app.kit import links
from lifecycle.app.kit.access_words import ROLE_MEANS, SCOPE_MEANS, grant_lines
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.parts import IdentityProvider, parts_in
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.secrets_once import shown_once
from lifecycle.app.settings.people_view import (
    disable_checks,
    disable_consequences,
    matching,
    person_lines,
    team_lines,
)
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import PersonKind, ScopeKind, Target
from lifecycle.domain.roles import Role
from lifecycle.store.unit import View
from lifecycle.usecases.accounts import MIN_PASSWORD, add_person, disable_person, set_password
from lifecycle.usecases.grants import add_grant, add_team, revoke_grant, set_member
from lifecycle.usecases.issue_link import issue_link
from lifecycle.usecases.openid_accounts import link_person
from lifecycle.usecases.parts.access import require
from lifecycle.usecases.tokens import issue_token, revoke_token
from lifecycle.verbs.inputs import Id, PersonName

router = APIRouter()
PAGE = 100
Key = Annotated[str, Form(max_length=100)]
Line = Annotated[str, Form(max_length=254, pattern=r"^[^\x00]*$")]


@router.get("/settings/people")
def people(
    ctx: Ctx,
    request: Request,
    who: Who,
    q: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    """Accounts and teams."""
    with ctx.store.read() as view:
        _require(view, who)
        lines, teams = person_lines(view), team_lines(view)
    found = matching(lines, q)
    return render(
        request,
        "settings/people.html",
        lines=found[(page - 1) * PAGE : page * PAGE],
        total=len(found),
        page=page,
        more=len(found) > page * PAGE,
        q=q,
        teams=teams,
        humans=[line.person.name for line in lines if line.person.kind is PersonKind.HUMAN],
    )


@router.post("/settings/people")
def add(
    ctx: Ctx,
    request: Request,
    who: Who,
    key: Key,
    name: Line,
    display_name: Line = "",
    email: Line = "",
    verified: Annotated[bool, Form()] = False,
    acts_for: Line = "",
) -> Response:
    """Adds an account; with `acts_for` it is a service account."""
    added = add_person(
        ctx,
        who.actor,
        name.strip(),
        display_name=display_name.strip(),
        email=email.strip() or None,
        email_verified=verified and bool(email.strip()),
        kind=PersonKind.SERVICE if acts_for.strip() else PersonKind.HUMAN,
        acts_for=acts_for.strip() or None,
        key=key,
    )
    told = f"Account {added.name} added. It can do nothing until it is granted a role."
    return done(request, links.person(added.name), told)


@router.get("/settings/people/{person}")
def one_person(ctx: Ctx, request: Request, who: Who, person: PersonName) -> Response:
    """One account: its roles, teams, ways to sign in and tokens."""
    with ctx.store.read() as view:
        _require(view, who)
        found = view.people.named(person)
        teams = {team.id: team.name for team in view.people.teams()}
        grants = grant_lines(view.people.grants(found.id), teams)
        own_teams = view.people.team_names(found.id)
        acts_for = view.people.get(found.acts_for).name if found.acts_for else None
        agents = view.people.agents(found.id)
        tokens = [one for one in view.people.tokens(found.id) if one.expires_at > view.now and one.used_at is None]
        same = [one.name for one in view.people.all() if one.identity == found.identity and one.id != found.id]
    return render(
        request,
        "settings/person.html",
        person=found,
        here=links.person(found.name),
        service=found.kind is PersonKind.SERVICE,
        human=found.kind is PersonKind.HUMAN,
        agents=[one.name for one in agents],
        acts_for=acts_for,
        same=same,
        grants=grants,
        teams=own_teams,
        other_teams=[name for name in teams.values() if name not in own_teams],
        tokens=tokens,
        roles=ROLE_MEANS,
        scopes={scope: means for scope, means in SCOPE_MEANS.items() if scope is not TokenScope.APPROVE},
        least=MIN_PASSWORD,
        openid=parts_in(request).has(IdentityProvider),
    )


@router.post("/settings/people/{person}/grants")
def grant(
    ctx: Ctx,
    request: Request,
    who: Who,
    person: PersonName,
    key: Key,
    role: Annotated[Role, Form()],
    scope: Annotated[ScopeKind, Form()] = ScopeKind.EVERYTHING,
    scope_value: Line = "",
) -> Response:
    """Grants a role."""
    add_grant(ctx, who.actor, role, person=person, scope=scope, scope_value=scope_value.strip(), key=key)
    return done(request, links.person(person), f"{person} now has the role {role.value} there.")


@router.post("/settings/people/{person}/password")
def put_password(
    ctx: Ctx, request: Request, who: Who, person: PersonName, password: Annotated[str, Form(max_length=1_000)]
) -> Response:
    """Sets somebody's password."""
    set_password(ctx, who.actor, person, password)
    return done(request, links.person(person), f"Password of {person} set; their sessions and tokens have ended.")


@router.post("/settings/people/{person}/link")
def sign_in_link(ctx: Ctx, request: Request, who: Who, person: PersonName, key: Key) -> Response:
    """A link that signs this person in once."""
    issued = issue_link(ctx, who.actor, person, key=key)
    return shown_once(
        request,
        what=f"Sign-in link for {person}",
        secret=f"{request.base_url}sign-in#{issued.secret}",
        until=issued.expires_at,
        back=links.person(person),
        hint=f"Give it only to {person}: anyone who opens it is signed in as {person}, once.",
    )


@router.post("/settings/people/{person}/subject")
def put_subject(
    ctx: Ctx,
    request: Request,
    who: Who,
    person: PersonName,
    subject: Annotated[str, Form(max_length=500, pattern=r"^[^\x00]*$")],
) -> Response:
    """Links an account with somebody at the OpenID Connect provider."""
    link_person(ctx, who.actor, person, subject.strip())
    return done(request, links.person(person), f"{person} can now sign in with your organisation.")


@router.post("/settings/people/{person}/tokens")
def service_token(
    ctx: Ctx,
    request: Request,
    who: Who,
    person: PersonName,
    key: Key,
    name: Annotated[str, Form(min_length=1, max_length=100)],
    days: Annotated[int, Form(ge=1, le=366)] = 30,
    scopes: Annotated[tuple[TokenScope, ...], Form(max_length=4)] = (),
) -> Response:
    """A token for a service account; this answer is the only place that ever shows its secret."""
    life = timedelta(days=days)
    issued = issue_token(ctx, who.actor, name, scopes=scopes, life=life, within=who.scopes, owner=person, key=key)
    return shown_once(
        request,
        what=f"Token {issued.name} of {person}",
        secret=issued.secret,
        until=issued.expires_at,
        back=links.person(person),
        hint="Pass it to the program as DRLS_TOKEN.",
    )


@router.post("/settings/people/{person}/tokens/{token_id}/revoke")
def end_token(ctx: Ctx, request: Request, who: Who, person: PersonName, token_id: Id) -> Response:
    """Ends somebody's token or session."""
    ended = revoke_token(ctx, who.actor, token_id)
    what = "Session ended." if ended.kind is TokenKind.SESSION else f"{ended.name} revoked."
    return done(request, links.person(person), what)


@router.get("/settings/people/{person}/disable")
def before_disabling(ctx: Ctx, request: Request, who: Who, person: PersonName) -> Response:
    """What ends with the account."""
    with ctx.store.read() as view:
        _require(view, who)
        found = view.people.named(person)
        checks, consequences = disable_checks(view, found), disable_consequences(view, found)
    return render(
        request,
        "settings/disable.html",
        person=found,
        checks=checks,
        possible=all(ok for ok, _ in checks),
        consequences=consequences,
    )


@router.post("/settings/people/{person}/disable")
def disable(ctx: Ctx, request: Request, who: Who, person: PersonName) -> Response:
    """Disables an account."""
    disable_person(ctx, who.actor, person)
    return done(request, links.person(person), f"Account {person} disabled.")


@router.post("/settings/grants/{grant_id}/revoke")
def revoke(ctx: Ctx, request: Request, who: Who, grant_id: Id) -> Response:
    """Removes a person's or a team's grant."""
    revoked = revoke_grant(ctx, who.actor, grant_id)
    with ctx.store.read() as view:
        teams = {team.id: team.name for team in view.people.teams()}
        person = view.people.get(revoked.person_id).name if revoked.person_id is not None else None
    url = links.person(person) if person else links.team(teams[revoked.team_id or 0])
    return done(request, url, f"Role {revoked.role.value} removed.")


@router.post("/settings/teams")
def new_team(ctx: Ctx, request: Request, who: Who, key: Key, name: Line) -> Response:
    """A team without members."""
    added = add_team(ctx, who.actor, name.strip(), key=key)
    return done(request, links.team(added.name), f"Team {added.name} added; now add people to it.")


@router.get("/settings/teams/{team}")
def one_team(ctx: Ctx, request: Request, who: Who, team: PersonName) -> Response:
    """One team: members and roles."""
    with ctx.store.read() as view:
        _require(view, who)
        found = view.people.team(team)
        members = view.people.members(found.id)
        grants = grant_lines((one for one in view.people.all_grants() if one.team_id == found.id), {})
        names = {person.name for person in members}
        others = [one.name for one in view.people.all() if one.name not in names and one.disabled_at is None]
    return render(
        request,
        "settings/team.html",
        team=found,
        here=links.team(found.name),
        members=members,
        grants=grants,
        others=others,
        roles=ROLE_MEANS,
    )


@router.post("/settings/teams/{team}/grants")
def grant_team(
    ctx: Ctx,
    request: Request,
    who: Who,
    team: PersonName,
    key: Key,
    role: Annotated[Role, Form()],
    scope: Annotated[ScopeKind, Form()] = ScopeKind.EVERYTHING,
    scope_value: Line = "",
) -> Response:
    """Grants a role to everybody of a team."""
    add_grant(ctx, who.actor, role, team=team, scope=scope, scope_value=scope_value.strip(), key=key)
    return done(request, links.team(team), f"The team {team} now has the role {role.value} there.")


@router.post("/settings/teams/{team}/members")
def join(ctx: Ctx, request: Request, who: Who, team: PersonName, name: Line) -> Response:
    """Puts a person into a team."""
    set_member(ctx, who.actor, team, name.strip(), member=True)
    return done(request, links.team(team), f"{name.strip()} is now in the team {team}.")


@router.post("/settings/teams/{team}/members/{person}/remove")
def leave(ctx: Ctx, request: Request, who: Who, team: PersonName, person: PersonName) -> Response:
    """Takes a person out of a team."""
    set_member(ctx, who.actor, team, person, member=False)
    return done(request, links.team(team), f"{person} is no longer in the team {team}.")


def _require(view: View, who: Who) -> None:
    require(view, who.actor, Role.ADMIN, Target(), "managing people")
