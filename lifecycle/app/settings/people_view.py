"""Accounts and teams as their pages show them: gathered in a few queries, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifecycle.app.kit.access_words import GrantLine, grant_lines
from lifecycle.domain.credentials import TokenKind
from lifecycle.domain.people import Person, PersonKind
from lifecycle.errors import Conflict
from lifecycle.store.unit import View
from lifecycle.usecases.accounts import refuse_without_admin


@dataclass(frozen=True, slots=True)
class PersonLine:
    """An account in the list. `grants` are its own and its teams'."""

    person: Person
    acts_for: str | None
    grants: tuple[GrantLine, ...]
    teams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TeamLine:
    """A team with its members' names and its own grants."""

    name: str
    members: tuple[str, ...]
    grants: tuple[GrantLine, ...]


def person_lines(view: View) -> tuple[PersonLine, ...]:
    """Every account, by name."""
    people, grants, memberships = view.people.all(), view.people.all_grants(), view.people.memberships()
    names = {person.id: person.name for person in people}
    team_names = {team: name for _, team, name in memberships}
    in_teams: dict[int, dict[int, str]] = {}
    for person, team, name in memberships:
        in_teams.setdefault(person, {})[team] = name
    by_holder: dict[tuple[str, int], list[int]] = {}
    for index, grant in enumerate(grants):
        key = ("person", grant.person_id) if grant.person_id is not None else ("team", grant.team_id or 0)
        by_holder.setdefault(key, []).append(index)
    lines: list[PersonLine] = []
    for person in people:
        own = in_teams.get(person.id, {})
        held = [
            *by_holder.get(("person", person.id), ()),
            *(n for team in own for n in by_holder.get(("team", team), ())),
        ]
        found = grant_lines((grants[n] for n in held), team_names)
        lines.append(PersonLine(person, names.get(person.acts_for or 0), found, tuple(own.values())))
    return tuple(lines)


def team_lines(view: View) -> tuple[TeamLine, ...]:
    """Every team, by name."""
    names = {person.id: person.name for person in view.people.all()}
    members: dict[int, list[str]] = {}
    for person, team, _ in view.people.memberships():
        members.setdefault(team, []).append(names[person])
    grants = view.people.all_grants()
    return tuple(
        TeamLine(
            team.name,
            tuple(sorted(members.get(team.id, ()))),
            grant_lines((one for one in grants if one.team_id == team.id), {}),
        )
        for team in view.people.teams()
    )


def matching(lines: Sequence[PersonLine], text: str) -> tuple[PersonLine, ...]:
    """The accounts in whose name, address, teams or roles `text` occurs."""
    wanted = text.casefold()

    def words(line: PersonLine) -> str:
        person = line.person
        roles = [f"{grant.role.value} on {grant.reach}" for grant in line.grants]
        return "\n".join([person.name, person.display_name, person.email or "", *line.teams, *roles]).casefold()

    return tuple(line for line in lines if wanted in words(line))


def disable_checks(view: View, person: Person) -> tuple[tuple[bool, str], ...]:
    """Whether an account can be disabled, as the verb itself asks it."""
    try:
        refuse_without_admin(view, without=person.id)
    except Conflict as error:
        return ((False, error.message),)
    return ((True, "there is another Admin"),)


def disable_consequences(view: View, person: Person) -> tuple[str, ...]:
    """What ends with an account."""
    tokens = [one for one in view.people.tokens(person.id) if one.expires_at > view.now and one.used_at is None]
    count = {kind: sum(one.kind is kind for one in tokens) for kind in TokenKind}
    told = [
        (
            f"{count[TokenKind.SESSION]} sessions and {count[TokenKind.PERSONAL]} tokens of {person.name} end "
            "immediately."
        ),
        "Their decisions, requests and comments stay, with their name.",
        "The name stays taken: it cannot be used for another account.",
    ]
    if acting := [one.name for one in view.people.agents(person.id) if one.disabled_at is None]:
        told.append(f"The agents that act for them end as well: {', '.join(acting)}.")
    serving = [
        one.name
        for one in view.people.all()
        if one.acts_for == person.id and one.disabled_at is None and one.kind is PersonKind.SERVICE
    ]
    if serving:
        told.append(
            f"Service accounts that act for them stay: {', '.join(serving)}. Disable those as well, or "
            "link them to others."
        )
    return tuple(told)
