"""Teams and grants (A2): an Admin's acts. Each outdates what was signed for the people concerned."""

from __future__ import annotations

from lifecycle.domain.people import Actor, Grant, Person, PersonKind, ScopeKind, Target, Team
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict, Invalid
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.accounts import NAME, refuse_without_admin
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require
from lifecycle.usecases.parts.counting import recount_all


def add_team(ctx: Context, actor: Actor, name: str, *, key: str | None = None) -> Team:
    """A team without members."""
    if not NAME.fullmatch(name):
        raise Invalid(f"{name!r} is not a valid team name; use up to 64 letters, digits, '-', '_' and '.'")
    with ctx.store.write(actor, "add_team", key=key, command={"name": name}) as unit:
        earlier = unit.earlier(Team)
        if earlier is not None:
            return earlier
        require(unit, actor, Role.ADMIN, Target(), "adding a team")
        if any(team.name == name for team in unit.people.teams()):
            raise Conflict(f"a team named {name!r} already exists")
        unit.audit("team.added", f"team:{name}")
        return unit.remember(unit.people.add_team(name))


def set_member(ctx: Context, actor: Actor, team: str, name: str, *, member: bool) -> Team:
    """Puts a person into a team, or out of it; doing so twice changes nothing more."""
    with ctx.store.write(actor, "set_member") as unit:
        require(unit, actor, Role.ADMIN, Target(), "changing a team")
        found = unit.people.team(team)
        person = unit.people.named(name)
        _refuse_agent(unit, person, "join teams")
        if not unit.people.set_member(found.id, person.id, member=member):
            return found
        if not member:
            refuse_without_admin(unit, without=0)
        unit.audit("team.changed", f"team:{team}", person=name, member=member)
        recount_all(unit)
        return found


def add_grant(
    ctx: Context,
    actor: Actor,
    role: Role,
    *,
    person: str | None = None,
    team: str | None = None,
    scope: ScopeKind = ScopeKind.EVERYTHING,
    scope_value: str = "",
    key: str | None = None,
) -> Grant:
    """A role for a person or a team on everything, on a tag `key=value`, or on a pipeline."""
    if (person is None) == (team is None):
        raise Invalid("a grant is for either a person or a team; name one")
    if (scope is ScopeKind.EVERYTHING) != (scope_value == ""):
        raise Invalid(
            "a tag grant needs key=value, a pipeline grant needs the pipeline, and a grant on everything takes neither"
        )
    if scope is ScopeKind.TAG and "=" not in scope_value:
        raise Invalid(f"{scope_value!r} is not a tag; write key=value")
    command = {"role": role.value, "person": person, "team": team, "scope": scope.value, "value": scope_value}
    with ctx.store.write(actor, "add_grant", key=key, command=command) as unit:
        earlier = unit.earlier(Grant)
        if earlier is not None:
            return earlier
        require(unit, actor, Role.ADMIN, Target(), "granting a role")
        holder = unit.people.named(person) if person else None
        if holder is not None:
            _refuse_agent(unit, holder, "hold grants")
        grant = unit.people.add_grant(
            person_id=holder.id if holder else None,
            team_id=unit.people.team(team).id if team else None,
            role=role.value,
            scope=scope.value,
            scope_value=scope_value,
            granted_by=actor.person,
            revoked_at=None,
        )
        _outdate(unit, grant)
        unit.audit("grant.added", f"grant:{grant.id}", **command)
        return unit.remember(grant)


def revoke_grant(ctx: Context, actor: Actor, grant_id: int) -> Grant:
    """Removes a grant, once; the last Admin stays."""
    with ctx.store.write(actor, "revoke_grant") as unit:
        require(unit, actor, Role.ADMIN, Target(), "revoking a grant")
        grant = unit.people.grant(grant_id)
        if grant.revoked_at is not None:
            return grant
        unit.people.revoke_grant(grant)
        refuse_without_admin(unit, without=0)
        _outdate(unit, grant)
        unit.audit("grant.revoked", f"grant:{grant_id}")
        recount_all(unit)
        return unit.people.grant(grant_id)


def _refuse_agent(view: View, person: Person, doing: str) -> None:
    if person.kind is PersonKind.AGENT:
        owner = view.people.get(person.acts_for or 0).name
        raise Invalid(f"agents do not {doing}: {person.name} may do what {owner} may; change {owner} instead")


def _outdate(unit: Unit, grant: Grant) -> None:
    people = [grant.person_id] if grant.person_id is not None else []
    if grant.team_id is not None:
        people = [person.id for person in unit.people.members(grant.team_id)]
    for person_id in people:
        unit.people.change(person_id)
