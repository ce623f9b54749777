"""Authenticate: who is behind a credential, and what it may be used for at most."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from lifecycle.domain.credentials import AGENT_SCOPES, Token, TokenKind, TokenScope
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor, Grant, Person, PersonKind, WayIn
from lifecycle.errors import NotFound, Unauthorized
from lifecycle.store.unit import View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.signed_tokens import read_token
from lifecycle.usecases.tokens import PREFIX, hash_of


class Identity(Frozen):
    """Who asks, with their living grants, and the scopes of what they showed.

    `agent`: an agent asks; the grants are those of its person.
    """

    actor: Actor
    scopes: frozenset[TokenScope]
    grants: tuple[Grant, ...]
    agent: bool = False

    def coming_by(self, way: str | None) -> Identity:
        """The same by the way that a program says it came. Only an agent is believed, and it gains nothing (A4)."""
        if not self.agent or way != WayIn.MCP.value:
            return self
        return self.model_copy(update={"actor": self.actor.model_copy(update={"way_in": WayIn.MCP})})


class _Shown(NamedTuple):
    person: Person
    scopes: frozenset[TokenScope]
    token: Token
    until: datetime
    signed: Literal[True] | None = None


class _Known(NamedTuple):
    """What is kept of a credential: no hash of a password or secret is."""

    person: int
    name: str
    token: int
    scopes: frozenset[TokenScope]
    signed: Literal[True] | None
    grants: tuple[Grant, ...]
    agent: bool
    acts_for: str | None


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

    `kind` demands one kind of token. Raises Unauthorized for wrong, expired, revoked or outdated ones. What is known of
    a good one is kept until something in the store changes, whatever it is, so that what is revoked ends at once.
    """
    key = ("credential", hash_of(credential), kind)
    known = ctx.store.kept.get(key, ctx.clock.now(), lambda: _find(ctx, credential, kind))
    actor = Actor(
        person=known.person,
        name=known.name,
        way_in=way_in,
        host=host,
        os_user=os_user,
        token=known.token,
        signed=known.signed,
        acts_for=known.acts_for,
    )
    return Identity(actor=actor, scopes=known.scopes, grants=known.grants, agent=known.agent)


def _find(ctx: Context, credential: str, kind: TokenKind | None) -> tuple[_Known, datetime]:
    with ctx.store.read() as view:
        try:
            shown = _look_up(view, credential, kind)
            behind = None if shown.person.acts_for is None else view.people.get(shown.person.acts_for)
        except NotFound:
            raise Unauthorized("this token is not valid; sign in again") from None
        person, scopes, is_agent = shown.person, shown.scopes, shown.person.kind is PersonKind.AGENT
        if is_agent:
            # Whatever was written into its token (A8).
            scopes &= AGENT_SCOPES
        if (is_agent and behind is None) or (behind is not None and behind.disabled_at is not None):
            raise Unauthorized(f"{person.name} acts for an account that is disabled; ask an Admin")
        if kind is TokenKind.SESSION and person.kind is not PersonKind.HUMAN:
            raise Unauthorized("only people have sessions; use a token")
        known = _Known(
            person=person.id,
            name=person.name,
            token=shown.token.id,
            scopes=scopes,
            signed=shown.signed,
            grants=view.people.grants(person.id),
            agent=is_agent,
            acts_for=behind.name if behind else None,
        )
    return known, shown.until


def _look_up(view: View, credential: str, kind: TokenKind | None) -> _Shown:
    if not credential.startswith(PREFIX):
        if kind is not None:
            raise Unauthorized("this session is not valid; sign in again")
        read = read_token(view, credential)
        scopes = frozenset(TokenScope(name) for name in read.scopes if name in set(TokenScope))
        return _Shown(read.person, scopes, read.made_with, read.until, signed=True)
    token = view.people.token_with_hash(hash_of(credential))
    if token is None or token.kind is TokenKind.LINK or (kind is not None and token.kind is not kind):
        raise Unauthorized("this token is not valid; sign in again")
    if kind is None and token.kind is TokenKind.SESSION:
        raise Unauthorized("a browser session's secret cannot be used as a bearer token; issue a personal token")
    if token.revoked_at is not None or token.expires_at <= view.now:
        raise Unauthorized("this token has expired; issue a new one")
    person = view.people.get(token.person_id)
    if person.disabled_at is not None:
        what = "agent" if person.kind is PersonKind.AGENT else "account"
        raise Unauthorized(f"the {what} {person.name} is disabled; ask an Admin")
    return _Shown(person, frozenset(token.scopes), token, token.expires_at)
