"""Nobody approves their own work, admins included (L6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from lifecycle.domain.hands import Hands, as_one, behind
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Person, PersonKind
from lifecycle.domain.quorum import Quorum, Standing
from lifecycle.domain.version import Contribution


class Eligibility(Frozen):
    """Who may approve a request, and for everybody else in question the reason why not.

    `as_one` are groups of accounts that count as one person.
    """

    may_approve: tuple[Standing, ...]
    excluded: dict[str, str]
    reachable: bool
    as_one: tuple[tuple[str, ...], ...] = ()


def contributor_identities(
    contributions: Iterable[Contribution],
    people: Mapping[int, Person],
    hands: Hands | None = None,
    now: datetime | None = None,
) -> frozenset[str]:
    """The identities behind contributions: who did it, who it was done for, whom a service acts for.

    Also who gave one of these accounts a credential that has worked since the contribution (`hands`, until `now`).
    """
    found: set[str] = set()
    for contribution in contributions:
        accounts: set[int] = set()
        for number in (contribution.person, contribution.acted_for):
            person = people.get(number) if number is not None else None
            if person is None:
                continue
            accounts.add(person.id)
            if person.acts_for is not None and person.acts_for in people:
                accounts.add(person.acts_for)
        if hands and now is not None:
            for account in tuple(accounts):
                accounts.update(behind(account, hands, contribution.at or now, now))
        found.update(people[account].identity for account in accounts)
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
    why_not: Callable[[Person], str],
    *,
    solo: bool,
    voices: Callable[[Person], frozenset[str]] | None = None,
) -> Eligibility:
    """Who may still approve, and whether the quorum can be reached by them.

    `why_not` says why an account is not independent. `voices` says who may speak through it: those who share one
    count as one person.
    """
    may: list[Standing] = []
    speak: list[tuple[Standing, frozenset[str]]] = []
    excluded: dict[str, str] = {}
    for person, standing in everybody:
        # An agent has the roles of its person, who is in this list.
        if person.kind is PersonKind.AGENT or not quorum.admits(standing):
            continue
        if person.disabled_at is not None:
            excluded[person.name] = "the account is disabled"
        elif person.kind is not PersonKind.HUMAN:
            excluded[person.name] = "service accounts and agents never approve"
        elif not solo and (why := why_not(person)):
            excluded[person.name] = why
        else:
            may.append(standing)
            speak.append((standing, voices(person) if voices else frozenset({standing.identity})))
    distinct = as_one(speak)
    return Eligibility(
        may_approve=tuple(may),
        excluded=excluded,
        reachable=quorum.met_by(distinct),
        as_one=_together(distinct),
    )


def _together(standings: Iterable[Standing]) -> tuple[tuple[str, ...], ...]:
    """The names of those who count as one person, in groups."""
    found: dict[str, list[str]] = {}
    for standing in standings:
        found.setdefault(standing.identity, []).append(standing.name)
    return tuple(tuple(sorted(names)) for names in found.values() if len(names) > 1)
