"""Quorums: `1 LeadDataEngineer or 2 of team:risk`. `and` binds tighter than `or`.

One person counts once in an alternative: "1 LeadDataEngineer and 1 of team:risk" are two people
(found as a matching of people to seats, by augmenting paths).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from lifecycle.domain.model import Frozen
from lifecycle.domain.roles import Role
from lifecycle.errors import Invalid

_CLAUSE = re.compile(r"^(?P<count>[1-9]\d?)\s+(?:of\s+)?(?P<who>\S+)$")
_HELP = "for example: 1 LeadDataEngineer or 2 of team:risk"


class Standing(Frozen):
    """What a person is with regard to one pipeline: their identity, role, teams and account name."""

    identity: str
    name: str
    role: Role | None
    teams: tuple[str, ...] = ()


class Clause(Frozen):
    """`count` people, each with a role, in a team, or the named person."""

    count: int
    role: Role | None = None
    team: str | None = None
    person: str | None = None

    def admits(self, standing: Standing) -> bool:
        """Whether this person counts here."""
        if self.role is not None:
            return standing.role is not None and standing.role.includes(self.role)
        if self.team is not None:
            return self.team in standing.teams
        return standing.name == self.person

    def __str__(self) -> str:
        if self.role is not None:
            return f"{self.count} {self.role.value}"
        return f"{self.count} of {'team:' + self.team if self.team else f'person:{self.person}'}"


class Seats(Frozen):
    """A clause with the names of those who fill it so far, at most as many as it asks for."""

    clause: Clause
    names: tuple[str, ...]

    @property
    def full(self) -> bool:
        return len(self.names) == self.clause.count

    def __str__(self) -> str:
        who = str(self.clause).partition(" ")[2].removeprefix("of ")
        names = f" ({', '.join(self.names)})" if self.names else ""
        return f"{len(self.names)} of {self.clause.count} {who}{names}"


class Quorum(Frozen):
    """Alternatives; each is a list of clauses that must all be filled by different people."""

    alternatives: tuple[tuple[Clause, ...], ...]

    def admits(self, standing: Standing) -> bool:
        """Whether an approval of this person counts anywhere."""
        return any(clause.admits(standing) for clauses in self.alternatives for clause in clauses)

    def met_by(self, people: Iterable[Standing]) -> bool:
        """Whether these people fill one alternative; several accounts of one identity are one person."""
        distinct = list({standing.identity: standing for standing in people}.values())
        return any(_fills(clauses, distinct) for clauses in self.alternatives)

    def seated(self, people: Iterable[Standing]) -> tuple[tuple[Seats, ...], ...]:
        """Per alternative how far these people fill it: as many seats as possible, each person on one."""
        distinct = list({standing.identity: standing for standing in people}.values())
        return tuple(_seats(clauses, distinct) for clauses in self.alternatives)

    def __str__(self) -> str:
        return " or ".join(" and ".join(map(str, clauses)) for clauses in self.alternatives)


@lru_cache(maxsize=256)
def parse_quorum(text: str) -> Quorum:
    """Reads a quorum. Raises Invalid naming the part that cannot be read."""
    alternatives = tuple(
        tuple(_parse_clause(part.strip()) for part in re.split(r"\s+and\s+", alternative.strip()))
        for alternative in re.split(r"\s+or\s+", text.strip())
    )
    return Quorum(alternatives=alternatives)


def _parse_clause(text: str) -> Clause:
    found = _CLAUSE.match(text)
    if found is None:
        raise Invalid(f"quorum: cannot read {text!r}; {_HELP}")
    count, who = int(found["count"]), found["who"]
    if who.startswith("team:") and len(who) > len("team:"):
        return Clause(count=count, team=who.removeprefix("team:"))
    if who.startswith("person:") and len(who) > len("person:"):
        if count != 1:
            raise Invalid(f"quorum: {text!r} needs {count} approvals from one person; write 1 of {who}")
        return Clause(count=1, person=who.removeprefix("person:"))
    if who not in set(Role):
        raise Invalid(f"quorum: {who!r} is not a role, team:… or person:…; {_HELP}")
    role = Role(who)
    if role is Role.VIEWER:
        raise Invalid("quorum: a Viewer cannot approve; name DataEngineer or a higher role")
    return Clause(count=count, role=role)


def _fills(clauses: Sequence[Clause], people: Sequence[Standing]) -> bool:
    return len(_sitting(clauses, people)) == sum(clause.count for clause in clauses)


def _seats(clauses: Sequence[Clause], people: Sequence[Standing]) -> tuple[Seats, ...]:
    sitting = _sitting(clauses, people)
    found: list[Seats] = []
    first = 0
    for clause in clauses:
        own = range(first, first + clause.count)
        found.append(Seats(clause=clause, names=tuple(people[sitting[one]].name for one in own if one in sitting)))
        first += clause.count
    return tuple(found)


def _sitting(clauses: Sequence[Clause], people: Sequence[Standing]) -> dict[int, int]:
    """Who sits where: by seat (each clause has `count` of them, in order) the person."""
    seats = [clause for clause in clauses for _ in range(clause.count)]
    sitting: dict[int, int] = {}

    def seat(person: int, seen: set[int]) -> bool:
        for index, clause in enumerate(seats):
            if index in seen or not clause.admits(people[person]):
                continue
            seen.add(index)
            if index not in sitting or seat(sitting[index], seen):
                sitting[index] = person
                return True
        return False

    for person in range(len(people)):
        seat(person, set())
    return sitting
