"""People, teams, grants, credentials and sign-in attempts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, case, or_, select, update

from lifecycle.domain.credentials import Token
from lifecycle.domain.hands import Credential, Hand, Hands, by_account
from lifecycle.domain.people import Grant, Person, PersonKind, ScopeKind, Target, Team, role_on
from lifecycle.domain.quorum import Standing
from lifecycle.errors import NotFound
from lifecycle.store.tables_people import (
    GrantRow,
    HandRow,
    MembershipRow,
    PersonRow,
    SignInAttemptRow,
    TeamRow,
    TokenRow,
)
from lifecycle.store.tx import Tx, by, table_of

_PERSON = tuple(PersonRow.__table__.columns)
_BY_ID = by(PersonRow, "id")
_BY_NAME = by(PersonRow, "name")
_ALL = by(PersonRow, order=(PersonRow.name,))
_AGENTS_OF = by(PersonRow, "acts_for", where=(PersonRow.kind == PersonKind.AGENT.value,), order=(PersonRow.name,))
_LIVING_GRANTS = by(GrantRow, where=(GrantRow.revoked_at.is_(None),), order=(GrantRow.id,))
_ACCOUNT = table_of(PersonRow)
_BEHIND = _ACCOUNT.alias()
# Whose grants and teams an account has: its own; of an agent those of its person, while both are enabled (A8).
_OWNER = (
    select(case((_ACCOUNT.c.kind == PersonKind.AGENT.value, _BEHIND.c.id), else_=_ACCOUNT.c.id))
    .select_from(_ACCOUNT)
    .outerjoin(
        _BEHIND,
        and_(_BEHIND.c.id == _ACCOUNT.c.acts_for, _BEHIND.c.disabled_at.is_(None), _ACCOUNT.c.disabled_at.is_(None)),
    )
    .where(_ACCOUNT.c.id == bindparam("person_id"))
    .scalar_subquery()
)
_TEAMS_OF = select(MembershipRow.team_id).where(MembershipRow.person_id == _OWNER)
_GRANTS_OF = by(
    GrantRow,
    where=(
        GrantRow.revoked_at.is_(None),
        or_(GrantRow.person_id == _OWNER, GrantRow.team_id.in_(_TEAMS_OF)),
    ),
    order=(GrantRow.id,),
)
_MEMBERSHIPS = (
    select(MembershipRow.person_id, TeamRow.id, TeamRow.name)
    .join(TeamRow, TeamRow.id == MembershipRow.team_id)
    .order_by(TeamRow.name)
)
_TEAM_NAMES_OF = _MEMBERSHIPS.where(MembershipRow.person_id == _OWNER)
_TOKEN_WITH = by(TokenRow, "secret_hash")
_BY_TAG = by(GrantRow, "scope", where=(GrantRow.revoked_at.is_(None),), limit=1)
_GRANT = tuple(GrantRow.__table__.columns)
_TOKEN = tuple(TokenRow.__table__.columns)
_CUT_EVERY = 100
_HANDS = (
    select(
        HandRow.account,
        HandRow.person,
        HandRow.credential,
        HandRow.token_id,
        HandRow.at,
        HandRow.until,
        TokenRow.expires_at,
        TokenRow.used_at,
        TokenRow.revoked_at,
    )
    .outerjoin(TokenRow, TokenRow.id == HandRow.token_id)
    .order_by(HandRow.id)
)


class People:
    """Accounts and what they may do."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def add(self, **values: Any) -> Person:
        return self.get(self._tx.insert(PersonRow, created_at=self._tx.now, access_epoch=1, **values))

    def get(self, person_id: int) -> Person:
        found = self._tx.prepared(Person, _BY_ID, id=person_id)
        if found is None:
            raise NotFound(f"there is no account with the id {person_id}")
        return found

    def find(self, name: str) -> Person | None:
        return self._tx.prepared(Person, _BY_NAME, name=name)

    def named(self, name: str) -> Person:
        found = self.find(name)
        if found is None:
            raise NotFound(f"there is no account {name!r}; drls user list shows all accounts")
        return found

    def with_subject(self, subject: str) -> Person | None:
        return self._tx.one(Person, select(*_PERSON).where(PersonRow.subject == subject))

    def all(self) -> tuple[Person, ...]:
        return self._tx.prepared_many(Person, _ALL)

    def names(self, person_ids: Iterable[int | None]) -> dict[int | None, str]:
        """The names of accounts, by their ids; of the system (None), `the system`."""
        query = select(PersonRow.id, PersonRow.name).where(PersonRow.id.in_([one for one in person_ids if one]))
        return {None: "the system", **{row[0]: row[1] for row in self._tx.tuples(query)}}

    def change(self, person_id: int, **values: Any) -> Person:
        """Changes an account and makes what was issued to it before outdated.

        A new password ends what another one was good for, whoever knew it.
        """
        if "password_hash" in values:
            self._tx.update(
                update(HandRow)
                .where(
                    HandRow.account == person_id,
                    HandRow.credential == Credential.PASSWORD.value,
                    HandRow.until.is_(None),
                )
                .values(until=self._tx.now)
            )
        self._tx.update(
            update(PersonRow).where(PersonRow.id == person_id).values(access_epoch=PersonRow.access_epoch + 1, **values)
        )
        return self.get(person_id)

    def agents(self, person_id: int) -> tuple[Person, ...]:
        """The agents that act for a person, by name, disabled ones too."""
        return self._tx.prepared_many(Person, _AGENTS_OF, acts_for=person_id)

    def agent(self, person_id: int, agent: str) -> Person | None:
        """The account of a person's agent."""
        return next((one for one in self.agents(person_id) if one.agent == agent), None)

    def add_team(self, name: str) -> Team:
        key = self._tx.insert(TeamRow, name=name, created_at=self._tx.now)
        return Team(id=key, name=name, created_at=self._tx.now)

    def team(self, name: str) -> Team:
        found = self._tx.one(Team, select(*TeamRow.__table__.columns).where(TeamRow.name == name))
        if found is None:
            raise NotFound(f"there is no team {name!r}; drls team list shows all teams")
        return found

    def teams(self) -> tuple[Team, ...]:
        return self._tx.many(Team, select(*TeamRow.__table__.columns).order_by(TeamRow.name))

    def members(self, team_id: int) -> tuple[Person, ...]:
        query = select(*_PERSON).join(MembershipRow, MembershipRow.person_id == PersonRow.id)
        return self._tx.many(Person, query.where(MembershipRow.team_id == team_id).order_by(PersonRow.name))

    def set_member(self, team_id: int, person_id: int, *, member: bool) -> bool:
        """Adds or removes; both outdate what was issued to the person. False when it is so already."""
        known = self._tx.values(
            select(MembershipRow.id).where(MembershipRow.team_id == team_id, MembershipRow.person_id == person_id)
        )
        if member == bool(known):
            return False
        if member:
            self._tx.insert(MembershipRow, team_id=team_id, person_id=person_id)
        else:
            self._tx.delete(MembershipRow, MembershipRow.id == known[0])
        self.change(person_id)
        return True

    def team_names(self, person_id: int) -> tuple[str, ...]:
        return tuple(name for _, _, name in self._tx.prepared_tuples(_TEAM_NAMES_OF, person_id=person_id))

    def memberships(self) -> tuple[tuple[int, int, str], ...]:
        """Every membership: the person's id, the team's id and name."""
        return tuple((person, team, name) for person, team, name in self._tx.tuples(_MEMBERSHIPS))

    def add_grant(self, **values: Any) -> Grant:
        key = self._tx.insert(GrantRow, granted_at=self._tx.now, **values)
        return self.grant(key)

    def grant(self, grant_id: int) -> Grant:
        found = self._tx.one(Grant, select(*_GRANT).where(GrantRow.id == grant_id))
        if found is None:
            raise NotFound(f"there is no grant {grant_id}")
        return found

    def revoke_grant(self, grant: Grant) -> None:
        self._tx.update(
            update(GrantRow)
            .where(GrantRow.id == grant.id, GrantRow.revoked_at.is_(None))
            .values(revoked_at=self._tx.now)
        )

    def all_grants(self) -> tuple[Grant, ...]:
        return self._tx.prepared_many(Grant, _LIVING_GRANTS)

    def grants(self, person_id: int) -> tuple[Grant, ...]:
        """Living grants of a person, their teams' too; of an agent, its person's (A8)."""
        return self._tx.prepared_many(Grant, _GRANTS_OF, person_id=person_id)

    def has_grants_by_tag(self) -> bool:
        """Whether what tags a pipeline has matters to anybody."""
        return self._tx.prepared(Grant, _BY_TAG, scope=ScopeKind.TAG.value) is not None

    def standing(self, person: Person, target: Target) -> Standing:
        """A person's role and teams with regard to `target`."""
        return Standing(
            identity=person.identity,
            name=person.name,
            role=role_on(self.grants(person.id), target),
            teams=self.team_names(person.id),
        )

    def standings(self, target: Target) -> list[tuple[Person, Standing]]:
        """Everybody's role and teams with regard to `target`, by name; as few queries for many as for one."""
        teams: dict[int, dict[int, str]] = {}
        for person_id, team_id, name in self._tx.prepared_tuples(_MEMBERSHIPS):
            teams.setdefault(person_id, {})[team_id] = name
        grants = self.all_grants()
        everybody = {person.id: person for person in self.all()}
        found: list[tuple[Person, Standing]] = []
        for person in everybody.values():
            owner = _owner(person, everybody)
            own = teams.get(owner or 0, {})
            held = [one for one in grants if owner and (one.person_id == owner or one.team_id in own)]
            role = role_on(held, target)
            standing = Standing(identity=person.identity, name=person.name, role=role, teams=tuple(own.values()))
            found.append((person, standing))
        return found

    def add_token(self, **values: Any) -> Token:
        key = self._tx.insert(TokenRow, created_at=self._tx.now, **values)
        found = self._tx.one(Token, select(*_TOKEN).where(TokenRow.id == key))
        assert found is not None  # noqa: S101 (inserted above)
        return found

    def add_hand(self, account: int, person: int, credential: Credential, *, token_id: int | None = None) -> None:
        """Notes that `person` gave `account`, which is another's, a credential."""
        # Who somebody is at a provider is theirs to prove: only the moment of the link says something.
        until = self._tx.now if credential is Credential.SUBJECT else None
        self._tx.insert(
            HandRow,
            account=account,
            person=person,
            credential=credential.value,
            token_id=token_id,
            at=self._tx.now,
            until=until,
        )

    def pass_hands_on(self, token: Token, account: int) -> None:
        """A token that comes from one of another's giving to `account` is in the same hands."""
        now = self._tx.now
        rows = self._tx.prepared_tuples(_HANDS)
        givers = {
            (row[1], row[2])
            for row in rows
            if row[0] == account and row[3] is not None and (_ends(*row[5:]) or now) >= now
        }
        for person, credential in sorted(givers):
            self.add_hand(token.person_id, person, Credential(credential), token_id=token.id)

    def hands(self) -> Hands:
        """Everything that anybody ever gave to somebody else's account, the oldest first."""
        return by_account(
            Hand(account=account, person=person, credential=Credential(credential), at=at, until=_ends(*ends))
            for account, person, credential, _, at, *ends in self._tx.prepared_tuples(_HANDS)
        )

    def token_with_hash(self, secret_hash: str) -> Token | None:
        return self._tx.prepared(Token, _TOKEN_WITH, secret_hash=secret_hash)

    def tokens(self, person_id: int) -> tuple[Token, ...]:
        query = select(*_TOKEN).where(TokenRow.person_id == person_id, TokenRow.revoked_at.is_(None))
        return self._tx.many(Token, query.order_by(TokenRow.id))

    def token(self, token_id: int) -> Token:
        found = self._tx.one(Token, select(*_TOKEN).where(TokenRow.id == token_id))
        if found is None:
            raise NotFound(f"there is no token {token_id}")
        return found

    def end_token(self, token: Token, *, used: bool = False) -> bool:
        """Revokes a token and all that came from it, or uses a one-time link up; False when it was over already."""
        living = (TokenRow.revoked_at.is_(None), TokenRow.used_at.is_(None))
        if used:
            statement = update(TokenRow).where(TokenRow.id == token.id, *living).values(used_at=self._tx.now)
            return self._tx.update(statement) == 1
        ended = False
        family = [token.id]
        while family:
            statement = update(TokenRow).where(TokenRow.id.in_(family), *living).values(revoked_at=self._tx.now)
            revoked = self._tx.update(statement)
            ended = ended or (family == [token.id] and revoked == 1)
            family = self._tx.values(select(TokenRow.id).where(TokenRow.issued_from.in_(family)))
        return ended

    def add_attempt(self, account: str, client: str, *, most: int, since: timedelta) -> int:
        """Counts an attempt as failed until `attempt_succeeded` is called; returns its id.

        At most `most` rows are kept, and none for long after `since`.
        """
        added = self._tx.insert(SignInAttemptRow, account=account, host=client, succeeded=False, at=self._tx.now)
        self._tx.delete(SignInAttemptRow, SignInAttemptRow.id <= added - most)
        if added % _CUT_EVERY == 0:
            self._tx.delete(SignInAttemptRow, SignInAttemptRow.at <= self._tx.now - since)
        return added

    def attempt_succeeded(self, attempt_id: int) -> None:
        self._tx.update(update(SignInAttemptRow).where(SignInAttemptRow.id == attempt_id).values(succeeded=True))

    def count_failures(self, client: str, *, since: timedelta) -> int:
        """How often sign-in failed lately for a client, whatever the account."""
        query = select(SignInAttemptRow.id).where(SignInAttemptRow.at > self._tx.now - since)
        return self._tx.count(query.where(SignInAttemptRow.host == client, ~SignInAttemptRow.succeeded))

    def failures(
        self, *, account: str | None = None, client: str | None = None, since: timedelta, most: int
    ) -> list[datetime]:
        """When sign-in failed lately, newest first, at most `most`; of a client at an account since it got in."""
        query = select(SignInAttemptRow.at).where(
            SignInAttemptRow.at > self._tx.now - since, ~SignInAttemptRow.succeeded
        )
        if account is not None:
            query = query.where(SignInAttemptRow.account == account)
        if client is not None:
            query = query.where(SignInAttemptRow.host == client)
        if account is not None and client is not None:
            last = select(SignInAttemptRow.id).where(
                SignInAttemptRow.account == account, SignInAttemptRow.host == client, SignInAttemptRow.succeeded
            )
            newest = self._tx.values(last.order_by(SignInAttemptRow.id.desc()).limit(1))
            query = query.where(SignInAttemptRow.id > (newest or [0])[0])
        return self._tx.values(query.order_by(SignInAttemptRow.id.desc()).limit(most))


def _owner(person: Person, everybody: Mapping[int, Person]) -> int | None:
    """Whose grants and teams an account has; None for an agent that has lost its own, or its person theirs."""
    if person.kind is not PersonKind.AGENT:
        return person.id
    behind = everybody.get(person.acts_for or 0)
    enabled = behind is not None and behind.disabled_at is None and person.disabled_at is None
    return behind.id if behind is not None and enabled else None


def _ends(until: datetime | None, *of_token: datetime | None) -> datetime | None:
    """When a credential ended or ends; None for one that has no end yet."""
    return min((one for one in (until, *of_token) if one is not None), default=None)
