"""Sign in with OpenID Connect: from who somebody is at the provider to an account here."""

from __future__ import annotations

import re
from enum import StrEnum

from lifecycle.domain.hands import Credential
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor, Person, PersonKind, Target, WayIn, system_actor
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict, Invalid, Unauthorized
from lifecycle.store.unit import Unit
from lifecycle.usecases.accounts import PersonView, end_sessions, require_sign_in, shown
from lifecycle.usecases.change_password import require_session
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require
from lifecycle.usecases.sign_in import open_session
from lifecycle.usecases.tokens import Issued

_SUBJECT = re.compile(r"https?://[^|\s\x00]+\|[^\x00]+")


class AccountRule(StrEnum):
    """Who may come in. KNOWN: accounts that an Admin linked. LINK: also the account with the same verified address,
    which is linked then. CREATE: also somebody new with a verified address, without any grant."""

    KNOWN = "known"
    LINK = "link"
    CREATE = "create"


class OpenIdUser(Frozen):
    """Somebody, as a provider has just proven them. Only issuer and subject together name a person for good."""

    issuer: str
    subject: str
    email: str | None = None
    email_verified: bool = False
    name: str = ""

    @property
    def key(self) -> str:
        """What an account keeps of it."""
        return f"{self.issuer}|{self.subject}"


def sign_in_with_openid(ctx: Context, user: OpenIdUser, rule: AccountRule, host: str) -> Issued:
    """A browser session, the same as for a password. Raises Unauthorized with what would help."""
    acting = system_actor("sign-in", WayIn.WEB, host)
    with ctx.store.write(acting, "sign_in_with_openid") as unit:
        person = unit.people.with_subject(user.key) or _by_address(unit, user, rule)
        if person is not None and person.disabled_at is None:
            return open_session(unit, person, "signed in with OpenID Connect")
        unit.audit("sign_in.refused", f"subject:{user.key}", host=host, disabled=person is not None)
    if person is not None:
        raise Unauthorized(f"the account {person.name} is disabled; ask an Admin")
    raise Unauthorized(f"no account here is linked to you; ask an Admin to run: drls user link NAME '{user.key}'")


def link_person(ctx: Context, actor: Actor, name: str, subject: str) -> PersonView:
    """An Admin's act: whoever the provider knows as `subject` (issuer|subject) signs in as `name` from now on.

    Where somebody else did until now, every session and token of the account ends.
    """
    if not _SUBJECT.fullmatch(subject):
        raise Invalid("write issuer|subject, as shown when the sign-in was refused: https://id.example.org|248289")
    with ctx.store.write(actor, "link_person") as unit:
        require(unit, actor, Role.ADMIN, Target(), "linking an account")
        person = unit.people.named(name)
        require_sign_in(person)
        if person.id == actor.person:
            require_session(unit, actor, person, "linking your own account")
        other = unit.people.with_subject(subject)
        if other is not None and other.id != person.id:
            raise Conflict(f"{subject} is already linked to {other.name}")
        if person.subject == subject:
            return shown(person)
        if actor.person is not None and actor.person != person.id:
            unit.people.add_hand(person.id, actor.person, Credential.SUBJECT)
        if person.subject is not None:
            end_sessions(unit, person)
        return shown(_link(unit, person, subject))


def _by_address(unit: Unit, user: OpenIdUser, rule: AccountRule) -> Person | None:
    """The account for a verified address, linked or made now; None when the rule or the address does not allow it."""
    if rule is AccountRule.KNOWN or not user.email or not user.email_verified:
        return None
    address = f"email:{user.email.strip().casefold()}"
    same = [one for one in unit.people.all() if one.identity == address and one.kind is PersonKind.HUMAN]
    if len(same) == 1 and same[0].subject is None:
        return same[0] if same[0].disabled_at is not None else _link(unit, same[0], user.key)
    if same or rule is not AccountRule.CREATE:
        # Two accounts with this address, or one that is somebody else's at the provider: an Admin decides.
        return None
    name = _free_name(unit, user.email)
    person = unit.people.add(
        name=name,
        kind=PersonKind.HUMAN.value,
        display_name=user.name[:200] or name,
        email=user.email,
        email_verified=True,
        password_hash=None,
        subject=user.key,
        acts_for=None,
        disabled_at=None,
    )
    unit.audit("person.added", f"person:{name}", kind=person.kind.value, email=user.email, verified=True, by="openid")
    return person


def _link(unit: Unit, person: Person, subject: str) -> Person:
    unit.audit("person.linked", f"person:{person.name}", openid=subject)
    return unit.people.change(person.id, subject=subject)


def _free_name(unit: Unit, email: str) -> str:
    start = re.sub(r"[^A-Za-z0-9._-]", "-", email.partition("@")[0]).strip("-._")[:50].lower() or "person"
    taken = {one.name for one in unit.people.all()}
    names = (start, *(f"{start}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)
