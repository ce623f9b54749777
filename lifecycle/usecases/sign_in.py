"""Sign in with a password or a one-time link, slowed down and locked against guessing."""

from __future__ import annotations

from datetime import timedelta

from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import Person, WayIn, system_actor
from lifecycle.errors import TooMany, Unauthorized
from lifecycle.store.unit import Unit
from lifecycle.usecases.accounts import is_password
from lifecycle.usecases.context import Context
from lifecycle.usecases.tokens import Issued, hash_of, issue

SESSION_LIFE = timedelta(hours=12)
WINDOW = timedelta(minutes=15)
ACCOUNT_FAILURES = 5
HOST_FAILURES = 30
_REFUSED = "account or password is wrong"


def sign_in(ctx: Context, name: str, password: str, host: str) -> Issued:
    """A browser session. Raises Unauthorized without saying what was wrong, TooMany when locked.

    The attempt is counted as failed before the password is looked at, so that guessing in parallel
    gains nothing.
    """
    acting = system_actor("sign-in", WayIn.WEB, host)
    attempt = None
    with ctx.store.write(acting, "sign_in") as unit:
        if not _locked(unit, name, host):
            attempt = unit.people.add_attempt(name, host)
            unit.audit("sign_in.attempt", f"person:{name}", host=host)
        person = unit.people.find(name)
    if attempt is None:
        raise TooMany(f"too many wrong attempts; try again in {WINDOW.seconds // 60} minutes")
    if not is_password(ctx, person, password) or person is None or person.disabled_at is not None:
        raise Unauthorized(_REFUSED)
    with ctx.store.write(acting, "sign_in") as unit:
        now = unit.people.get(person.id)
        # Changing a password and disabling an account end all sessions: none begins after that with what was before.
        if (now.password_hash, now.disabled_at) != (person.password_hash, person.disabled_at):
            raise Unauthorized(_REFUSED)
        # Else 30 people who sign in at one proxy would lock it for everybody.
        unit.people.attempt_succeeded(attempt)
        return open_session(unit, person, "signed in with a password")


def use_link(ctx: Context, secret: str, host: str) -> Issued:
    """A browser session for a one-time link; the link is used up."""
    with ctx.store.write(system_actor("sign-in", WayIn.WEB, host), "use_link") as unit:
        token = unit.people.token_with_hash(hash_of(secret))
        if token is None or token.kind is not TokenKind.LINK or token.expires_at <= unit.now:
            raise Unauthorized("this sign-in link is not valid; ask an Admin for a new one")
        if not unit.people.end_token(token, used=True):
            raise Unauthorized("this sign-in link was used; ask an Admin for a new one")
        return open_session(unit, unit.people.get(token.person_id), "signed in with a link")


def sign_out(ctx: Context, secret: str, host: str) -> None:
    """Ends the session; unknown ones too."""
    with ctx.store.write(system_actor("sign-in", WayIn.WEB, host), "sign_out") as unit:
        token = unit.people.token_with_hash(hash_of(secret))
        if token is not None and unit.people.end_token(token):
            unit.audit("session.ended", f"token:{token.id}")


def open_session(unit: Unit, person: Person, how: str) -> Issued:
    """A browser session inside a unit of work; `how` the person proved themselves goes into the audit log."""
    unit.audit("session.started", f"person:{person.name}", how=how)
    return issue(unit, person, TokenKind.SESSION, how, scopes=tuple(TokenScope), life=SESSION_LIFE)


def _locked(unit: Unit, name: str, host: str) -> bool:
    by_account = unit.people.failures(account=name, since=WINDOW)
    by_host = unit.people.failures(host=host, since=WINDOW)
    return len(by_account) >= ACCOUNT_FAILURES or len(by_host) >= HOST_FAILURES
