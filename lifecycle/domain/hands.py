"""Whose hands an account was in: whoever gave it a password, a token or a link can act as it (L6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from lifecycle.domain.model import Frozen
from lifecycle.domain.quorum import Standing


class Credential(StrEnum):
    """What somebody gave to another's account."""

    PASSWORD = "password"  # noqa: S105 (a kind, no secret)
    TOKEN = "token"  # noqa: S105
    LINK = "link"
    SUBJECT = "subject"


class Hand(Frozen):
    """`person` gave a credential to `account` at `at`; it works until `until` (None: until it is replaced)."""

    account: int
    person: int
    credential: Credential
    at: datetime
    until: datetime | None

    def reaches(self, since: datetime, until: datetime) -> bool:
        """Whether it was given, or worked, between two moments."""
        return self.at <= until and (self.until is None or self.until > since)

    def did(self, account: str) -> str:
        """What the person did, as the end of "adam …"."""
        what = {
            Credential.PASSWORD: f"set the password of {account}",
            Credential.TOKEN: f"issued a token for {account}",
            Credential.LINK: f"made a sign-in link for {account}",
            Credential.SUBJECT: f"linked {account} to an OpenID Connect account",
        }[self.credential]
        return f"{what} on {self.at:%Y-%m-%d}"


Hands = Mapping[int, Sequence[Hand]]
"""By account: what others gave to it."""


def by_account(hands: Iterable[Hand]) -> Hands:
    """Hands in groups, the oldest first."""
    found: dict[int, list[Hand]] = {}
    for hand in hands:
        found.setdefault(hand.account, []).append(hand)
    return found


def behind(account: int, hands: Hands, since: datetime, until: datetime) -> dict[int, Hand]:
    """Who else could act as `account` between two moments, with how; also through another account."""
    found: dict[int, Hand] = {}
    todo = [account]
    while todo:
        for hand in hands.get(todo.pop(), ()):
            if hand.person != account and hand.person not in found and hand.reaches(since, until):
                found[hand.person] = hand
                todo.append(hand.person)
    return found


def as_one(people: Sequence[tuple[Standing, frozenset[str]]]) -> list[Standing]:
    """Standings in which those who may be one pair of hands have one identity.

    With each comes whose hands they may be: their own identity, and those behind their account.
    """
    groups: list[set[str]] = []
    for _, voices in people:
        same = [group for group in groups if not group.isdisjoint(voices)]
        groups = [group for group in groups if group not in same]
        groups.append(set(voices).union(*same))
    found: list[Standing] = []
    for standing, voices in people:
        group = next(group for group in groups if not group.isdisjoint(voices))
        found.append(standing.model_copy(update={"identity": min(group)}) if len(group) > 1 else standing)
    return found
