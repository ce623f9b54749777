"""Authenticate: who is behind a credential, and what it may be used for at most."""

from __future__ import annotations

from typing import Literal

from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor, Grant, Person, WayIn
from lifecycle.errors import NotFound, Unauthorized
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.signed_tokens import read_token
from lifecycle.usecases.tokens import PREFIX, hash_of


class Identity(Frozen):
    """Who asks, with their living grants, and the scopes of what they showed."""

    actor: Actor
    scopes: frozenset[TokenScope]
    grants: tuple[Grant, ...]


def authenticate(
    ctx: Context,
    credential: str,
    way_in: WayIn,
    *,
    host: str = "",
    os_user: str = "",
    kind: TokenKind | None = None,
) -> Identity:
    """The identity behind a token, a browser session's secret or a signed token.

    `kind` demands one kind of token. Raises Unauthorized for wrong, expired, revoked or outdated ones.
    """
    with ctx.store.read() as view:
        try:
            person, scopes, token, signed = _look_up(view, credential, kind)
        except NotFound:
            raise Unauthorized("this token is not valid; sign in again") from None
        grants = view.people.grants(person.id)
    actor = Actor(
        person=person.id, name=person.name, way_in=way_in, host=host, os_user=os_user, token=token, signed=signed
    )
    return Identity(actor=actor, scopes=frozenset(scopes), grants=grants)


def _look_up(
    view: View, credential: str, kind: TokenKind | None
) -> tuple[Person, tuple[TokenScope, ...], int, Literal[True] | None]:
    if not credential.startswith(PREFIX):
        if kind is not None:
            raise Unauthorized("this session is not valid; sign in again")
        person, names, made_with = read_token(view, credential)
        return person, tuple(TokenScope(name) for name in names if name in set(TokenScope)), made_with.id, True
    token = view.people.token_with_hash(hash_of(credential))
    if token is None or token.kind is TokenKind.LINK or (kind is not None and token.kind is not kind):
        raise Unauthorized("this token is not valid; sign in again")
    if kind is None and token.kind is TokenKind.SESSION:
        raise Unauthorized("a browser session's secret cannot be used as a bearer token; issue a personal token")
    if token.revoked_at is not None or token.expires_at <= view.now:
        raise Unauthorized("this token has expired; issue a new one")
    person = view.people.get(token.person_id)
    if person.disabled_at is not None:
        raise Unauthorized(f"the account {person.name} is disabled; ask an Admin")
    return person, token.scopes, token.id, None
