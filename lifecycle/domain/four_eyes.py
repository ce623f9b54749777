"""Nobody approves their own work, admins included (L6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Person, PersonKind
from lifecycle.domain.quorum import Quorum, Standing
from lifecycle.domain.version import Contribution


class Eligibility(Frozen):
    """Who may approve a request, and for everybody else in question the reason why not."""

    may_approve: tuple[Standing, ...]
    excluded: dict[str, str]
    reachable: bool


def contributor_identities(contributions: Iterable[Contribution], people: Mapping[int, Person]) -> frozenset[str]:
    """The identities behind contributions: who did it, who it was done for, whom a service acts for."""
    found: set[str] = set()
    for contribution in contributions:
        for number in (contribution.person, contribution.acted_for):
            person = people.get(number) if number is not None else None
            if person is None:
                continue
            found.add(person.identity)
            if person.acts_for is not None and person.acts_for in people:
                found.add(people[person.acts_for].identity)
    return frozenset(found)


def accounts_behind(identity: str, people: Iterable[Person]) -> frozenset[int]:
    """The other way round: the accounts whose contributions are this identity's, its services' too."""
    everybody = list(people)
    own = {person.id for person in everybody if person.identity == identity}
    return frozenset(own | {person.id for person in everybody if person.acts_for in own})


def versions_since(start: int, until: int | None, parents: Mapping[int, frozenset[int]]) -> frozenset[int]:
    """The versions whose work a release of `start` brings: its ancestors up to, not with, `until`.

    `parents` has more than one parent where the same content was saved again on another version.
    """
    found: set[int] = set()
    todo = [start]
    while todo:
        version = todo.pop()
        if version == until or version in found:
            continue
        found.add(version)
        todo.extend(parents.get(version, frozenset()))
    return frozenset(found)


def eligibility(
    quorum: Quorum,
    everybody: Iterable[tuple[Person, Standing]],
    contributors: frozenset[str],
    *,
    solo: bool,
    already: Iterable[Standing] = (),
) -> Eligibility:
    """Who may still approve, and whether the quorum can be reached by them and those who did already."""
    may: list[Standing] = []
    excluded: dict[str, str] = {}
    for person, standing in everybody:
        if not quorum.admits(standing):
            continue
        if person.disabled_at is not None:
            excluded[person.name] = "the account is disabled"
        elif person.kind is PersonKind.SERVICE:
            excluded[person.name] = "service accounts and agents never approve"
        elif standing.identity in contributors and not solo:
            excluded[person.name] = "contributed to what would be released"
        else:
            may.append(standing)
    return Eligibility(may_approve=tuple(may), excluded=excluded, reachable=quorum.met_by([*may, *already]))
