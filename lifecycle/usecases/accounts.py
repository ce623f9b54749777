"""Accounts: people, and service accounts that act for somebody."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from lifecycle.domain.hands import Credential
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor, Person, PersonKind, Target
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict, Forbidden, Invalid
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require
from lifecycle.usecases.parts.counting import recount_all

MIN_PASSWORD = 12
# Names are part of the addresses of pages, so neither "." nor ".." is one.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_LENGTH = 64
AGENT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_ADDRESS = re.compile(r"[^@\s\x00]+@[^@\s\x00]+")


class PersonView(Frozen):
    """An account as others see it: no hash, no epoch."""

    id: int
    name: str
    kind: PersonKind
    display_name: str
    email: str | None
    email_verified: bool
    acts_for: int | None
    disabled_at: datetime | None
    created_at: datetime


def shown(person: Person) -> PersonView:
    """What others may see of an account."""
    return PersonView.model_validate({name: getattr(person, name) for name in PersonView.model_fields})


def add_person(
    ctx: Context,
    actor: Actor,
    name: str,
    *,
    display_name: str = "",
    email: str | None = None,
    email_verified: bool = False,
    kind: PersonKind = PersonKind.HUMAN,
    acts_for: str | None = None,
    key: str | None = None,
) -> PersonView:
    """An account without password and without any grant. A service account names the person it acts for."""
    if not NAME.fullmatch(name):
        raise Invalid(f"{name!r} is not a valid account name; use up to 64 letters, digits, '-', '_' and '.'")
    if email is not None and not _ADDRESS.fullmatch(email):
        raise Invalid(f"{email!r} is not an email address")
    if kind is PersonKind.AGENT:
        raise Invalid("an agent is made by the person it acts for: drls token issue --agent NAME")
    if (kind is PersonKind.SERVICE) != (acts_for is not None):
        raise Invalid("only a service account acts for a person, and it must; pass both or neither")
    command = {"name": name, "email": email, "kind": kind.value, "acts_for": acts_for}
    with ctx.store.write(actor, "add_person", key=key, command=command) as unit:
        earlier = unit.earlier(PersonView)
        if earlier is not None:
            return earlier
        require(unit, actor, Role.ADMIN, Target(), "adding an account")
        if unit.people.find(name) is not None:
            raise Conflict(f"an account named {name!r} already exists")
        behind = unit.people.named(acts_for) if acts_for else None
        if behind is not None and behind.kind is not PersonKind.HUMAN:
            # Four eyes look at the person behind an account, and no further (L6).
            raise Invalid(f"{behind.name} is not a person; name the person that {name} acts for")
        person = unit.people.add(
            name=name,
            kind=kind.value,
            display_name=display_name or name,
            email=email,
            email_verified=email_verified,
            password_hash=None,
            subject=None,
            acts_for=behind.id if behind else None,
            disabled_at=None,
        )
        unit.audit("person.added", f"person:{name}", kind=kind.value, email=email, verified=email_verified)
        return unit.remember(shown(person))


def set_password(ctx: Context, actor: Actor, name: str, password: str) -> None:
    """An Admin sets somebody else's password; every session of the account ends. For your own, see change_password."""
    hashed = hash_password(ctx, password)
    with ctx.store.write(actor, "set_password") as unit:
        person = unit.people.named(name)
        if person.id == actor.person:
            raise Forbidden("change your own password on your profile page, or with drls user password")
        require(unit, actor, Role.ADMIN, Target(), "setting someone else's password")
        require_sign_in(person)
        unit.people.change(person.id, password_hash=hashed)
        end_sessions(unit, person)
        if actor.person is not None and actor.person != person.id:
            unit.people.add_hand(person.id, actor.person, Credential.PASSWORD)
        unit.audit("password.set", f"person:{name}")


def disable_person(ctx: Context, actor: Actor, name: str) -> PersonView:
    """Ends every token and session; history keeps the name. The last Admin cannot be disabled."""
    with ctx.store.write(actor, "disable_person") as unit:
        require(unit, actor, Role.ADMIN, Target(), "disabling an account")
        person = unit.people.named(name)
        if person.disabled_at is not None:
            return shown(person)
        refuse_without_admin(unit, without=person.id)
        person = unit.people.change(person.id, disabled_at=unit.now)
        end_sessions(unit, person)
        unit.audit("person.disabled", f"person:{name}")
        recount_all(unit)
        return shown(person)


def hash_password(ctx: Context, password: str) -> str:
    """What is kept of a new password. Raises Invalid for one that is too short."""
    if len(password) < MIN_PASSWORD:
        raise Invalid(f"a password must have at least {MIN_PASSWORD} characters")
    return ctx.passwords.hash(password)


def is_password(ctx: Context, person: Person | None, password: str) -> bool:
    """Whether this is the person's password; takes as long for nobody."""
    known = person.password_hash if person else None
    try:
        return ctx.passwords.verify(known or _nobodys(ctx.passwords), password) and known is not None
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(maxsize=8)
def _nobodys(passwords: PasswordHasher) -> str:
    """Compared with when there is no such account, so that the time taken does not tell."""
    return passwords.hash(secrets.token_hex())


def require_sign_in(person: Person) -> None:
    """Raises Forbidden for an account that nobody signs in with."""
    match person.kind:
        case PersonKind.HUMAN:
            return
        case PersonKind.SERVICE:
            raise Forbidden(f"{person.name} is a service account; give it a token instead")
        case PersonKind.AGENT:
            raise Forbidden(f"{person.name} is an agent; only its person gives it tokens, and nobody signs in as it")


def end_sessions(unit: Unit, person: Person) -> None:
    """Revokes every token of an account, and of the agents that act for it."""
    for account in (person, *unit.people.agents(person.id)):
        for token in unit.people.tokens(account.id):
            unit.people.end_token(token)


def refuse_without_admin(unit: View, *, without: int) -> None:
    """Raises Conflict when nobody else than `without` would be Admin of everything."""
    for person, standing in unit.people.standings(Target()):
        if person.id == without or person.disabled_at is not None or person.kind is not PersonKind.HUMAN:
            continue
        if standing.role is Role.ADMIN:
            return
    raise Conflict("this is the last Admin; make someone else an Admin first")
