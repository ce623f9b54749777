"""Sign in with a password, slowed down against guessing, or with a one-time link."""

from __future__ import annotations

from datetime import timedelta

from lifecycle.domain.credentials import Token, TokenKind, TokenScope
from lifecycle.domain.people import Person, WayIn, system_actor
from lifecycle.errors import Unauthorized
from lifecycle.store.unit import Unit
from lifecycle.usecases.accounts import require_sign_in
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.guessing import client_of, prove
from lifecycle.usecases.tokens import Issued, hash_of, issue

SESSION_LIFE = timedelta(hours=12)


def sign_in(ctx: Context, name: str, password: str, host: str, *, browser: str | None = None) -> Issued:
    """A browser session. Raises Unauthorized without saying what was wrong, TooMany for who has to wait.

    `browser` is what a browser kept when it signed in before (see guessing.known_browser).
    """
    acting = system_actor("sign-in", WayIn.WEB, host)
    person, attempt = prove(ctx, acting, name, password, client_of(ctx, name, host, browser))
    with ctx.store.write(acting, "sign_in") as unit:
        now = unit.people.get(person.id)
        # Changing a password and disabling an account end all sessions: none begins after that with what was before.
        if (now.password_hash, now.disabled_at) != (person.password_hash, person.disabled_at):
            raise Unauthorized("wrong account name or password")
        # Else 30 people who sign in at one proxy would slow it down for everybody.
        unit.people.attempt_succeeded(attempt)
        return open_session(unit, person, "signed in with a password")


def use_link(ctx: Context, secret: str, host: str) -> Issued:
    """A browser session for a one-time link; the link is used up."""
    with ctx.store.write(system_actor("sign-in", WayIn.WEB, host), "use_link") as unit:
        token = unit.people.token_with_hash(hash_of(secret))
        if token is None or token.kind is not TokenKind.LINK or token.expires_at <= unit.now:
            raise Unauthorized("this sign-in link is not valid; ask an Admin for a new one")
        if not unit.people.end_token(token, used=True):
            raise Unauthorized("this sign-in link has already been used; ask an Admin for a new one")
        return open_session(unit, unit.people.get(token.person_id), "signed in with a link", link=token)


def sign_out(ctx: Context, secret: str, host: str) -> None:
    """Ends the session; unknown ones too."""
    with ctx.store.write(system_actor("sign-in", WayIn.WEB, host), "sign_out") as unit:
        token = unit.people.token_with_hash(hash_of(secret))
        if token is not None and unit.people.end_token(token):
            unit.audit("session.ended", f"token:{token.id}")


def open_session(unit: Unit, person: Person, how: str, *, link: Token | None = None) -> Issued:
    """A browser session inside a unit of work; `how` the person proved themselves goes into the audit log.

    It ends with the `link` that opened it, where what issued that is revoked.
    """
    require_sign_in(person)
    unit.audit("session.started", f"person:{person.name}", how=how)
    return issue(unit, person, TokenKind.SESSION, how, scopes=tuple(TokenScope), life=SESSION_LIFE, issued_from=link)
