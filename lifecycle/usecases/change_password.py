"""Changing your own password: with the old one, in a browser session; a token is not enough."""

from __future__ import annotations

from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import Actor, Person, WayIn
from lifecycle.errors import Forbidden, Unauthorized
from lifecycle.store.unit import View
from lifecycle.usecases.accounts import end_sessions, hash_password, require_sign_in
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.guessing import prove
from lifecycle.usecases.sign_in import open_session
from lifecycle.usecases.tokens import Issued, living


def change_password(ctx: Context, actor: Actor, old: str | None, new: str) -> Issued:
    """Sets the actor's own password. Every session and token of the account ends; a new session begins.

    Raises Unauthorized when `old` is wrong, TooMany for who guesses at it, Forbidden for who came with a token. An
    account that has no password yet gets its first one without `old`.
    """
    with ctx.store.read() as view:
        person = view.people.get(actor.person or 0)
        require_session(view, actor, person, "changing a password")
    require_sign_in(person)
    hashed = hash_password(ctx, new)
    # A count of its own for each session: who guesses at the sign-in page does not keep the owner from this.
    attempt = None
    if person.password_hash is not None:
        attempt = _prove_old(ctx, actor, person, old)
    with ctx.store.write(actor, "change_password") as unit:
        now = unit.people.get(person.id)
        require_session(unit, actor, now, "changing a password")
        if (now.password_hash, now.disabled_at) != (person.password_hash, None):
            raise Unauthorized("the password has since been changed; sign in again")
        if attempt is not None:
            unit.people.attempt_succeeded(attempt)
        person = unit.people.change(person.id, password_hash=hashed)
        end_sessions(unit, person)
        unit.audit("password.set", f"person:{person.name}")
        return open_session(unit, person, "changed the password")


def require_session(view: View, actor: Actor, person: Person, doing: str) -> None:
    """Raises Forbidden unless the actor, who is `person`, came with a living browser session.

    Whoever owns the store's files may do without while there is no password: the first Admin has only a token.
    """
    token = living(view, actor)
    if token is not None and token.kind is TokenKind.SESSION and not actor.signed:
        return
    is_first = token is not None and actor.way_in is WayIn.CLI and person.password_hash is None
    if is_first and token is not None and set(token.scopes) == set(TokenScope):
        return
    raise Forbidden(f"{doing} requires a signed-in session, not a token; sign in to the app")


def _prove_old(ctx: Context, actor: Actor, person: Person, old: str | None) -> int:
    if not old:
        raise Unauthorized("send the current password with the new one")
    try:
        return prove(ctx, actor, person.name, old, f"session:{actor.token}")[1]
    except Unauthorized:
        raise Unauthorized("the current password is wrong") from None
