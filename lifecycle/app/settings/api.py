"""Accounts, teams and grants."""

from __future__ import annotations

from fastapi import APIRouter, Request

from lifecycle.app.kit.request import Ctx
from lifecycle.app.kit.rest.guard import Who
from lifecycle.app.kit.rest.models import (
    Id,
    IdempotencyKey,
    NewGrant,
    NewPassword,
    NewPerson,
    NewSubject,
    NewTeam,
    NewToken,
    Page,
    PersonName,
    TeamView,
)
from lifecycle.domain.people import Grant, Team
from lifecycle.usecases.accounts import PersonView, add_person, disable_person, set_password, shown
from lifecycle.usecases.grants import add_grant, add_team, revoke_grant, set_member
from lifecycle.usecases.openid_accounts import link_person
from lifecycle.usecases.tokens import Issued, issue_token

router = APIRouter(prefix="/api", tags=["people"])


@router.get("/people")
def list_people(ctx: Ctx, who: Who) -> Page[PersonView]:
    """All accounts, by name."""
    with ctx.store.read() as view:
        return Page(items=[shown(person) for person in view.people.all()])


@router.post("/people", status_code=201)
def create_person(ctx: Ctx, who: Who, body: NewPerson, idempotency_key: IdempotencyKey = None) -> PersonView:
    """An account without password and grants."""
    return add_person(ctx, who, **body.model_dump(), key=idempotency_key)


@router.delete("/people/{person}")
def disable(ctx: Ctx, who: Who, person: PersonName) -> PersonView:
    """Disables an account; its name and history stay."""
    return disable_person(ctx, who, person)


@router.put("/people/{person}/password", status_code=204)
def put_password(ctx: Ctx, who: Who, person: PersonName, body: NewPassword) -> None:
    """Sets somebody's password."""
    set_password(ctx, who, person, body.password)


@router.put("/people/{person}/subject")
def put_subject(ctx: Ctx, who: Who, person: PersonName, body: NewSubject) -> PersonView:
    """Links an account with somebody at the OpenID Connect provider."""
    return link_person(ctx, who, person, body.subject)


@router.post("/people/{person}/tokens", status_code=201)
def service_token(ctx: Ctx, who: Who, request: Request, person: PersonName, body: NewToken) -> Issued:
    """A token for a service account; it reaches no further than what the caller showed."""
    shown_scopes = request.state.scopes
    return issue_token(ctx, who, body.name, scopes=body.scopes, life=body.life, within=shown_scopes, owner=person)


@router.get("/teams")
def list_teams(ctx: Ctx, who: Who) -> Page[TeamView]:
    """Teams with their members."""
    with ctx.store.read() as view:
        found = [
            TeamView(id=team.id, name=team.name, members=[one.name for one in view.people.members(team.id)])
            for team in view.people.teams()
        ]
    return Page(items=found)


@router.post("/teams", status_code=201)
def create_team(ctx: Ctx, who: Who, body: NewTeam, idempotency_key: IdempotencyKey = None) -> Team:
    """A team without members."""
    return add_team(ctx, who, body.name, key=idempotency_key)


@router.put("/teams/{team}/members/{person}")
def join(ctx: Ctx, who: Who, team: PersonName, person: PersonName) -> Team:
    """Puts a person into a team."""
    return set_member(ctx, who, team, person, member=True)


@router.delete("/teams/{team}/members/{person}")
def leave(ctx: Ctx, who: Who, team: PersonName, person: PersonName) -> Team:
    """Takes a person out of a team."""
    return set_member(ctx, who, team, person, member=False)


@router.get("/grants")
def list_grants(ctx: Ctx, who: Who) -> Page[Grant]:
    """Living grants."""
    with ctx.store.read() as view:
        return Page(items=list(view.people.all_grants()))


@router.post("/grants", status_code=201)
def grant(ctx: Ctx, who: Who, body: NewGrant, idempotency_key: IdempotencyKey = None) -> Grant:
    """Grants a role on a scope."""
    given = body.model_dump(exclude={"role"})
    return add_grant(ctx, who, body.role, **given, key=idempotency_key)


@router.delete("/grants/{grant_id}")
def revoke(ctx: Ctx, who: Who, grant_id: Id) -> Grant:
    """Takes a grant away."""
    return revoke_grant(ctx, who, grant_id)
