"""Tokens: issued once in clear, kept as a hash, scoped and expiring."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from lifecycle.domain.credentials import Token, TokenKind, TokenScope
from lifecycle.domain.hands import Credential
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor, Person, PersonKind, Target
from lifecycle.domain.roles import Role
from lifecycle.errors import Conflict, Forbidden, Invalid, Unauthorized
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require

MAX_LIFE = timedelta(days=366)
PREFIX = "drls_"


class Issued(Frozen):
    """A new token with its secret, which is shown this once."""

    id: int
    name: str
    secret: str
    scopes: tuple[TokenScope, ...]
    expires_at: datetime


class TokenView(Frozen):
    """A token as its owner sees it later: without the secret. `agent` names the agent of theirs that it is for."""

    id: int
    name: str
    kind: TokenKind
    scopes: tuple[TokenScope, ...]
    created_at: datetime
    expires_at: datetime
    agent: str | None = None
    unattended: bool = False


def hash_of(secret: str) -> str:
    """What is kept: tokens have 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def issue_token(
    ctx: Context,
    actor: Actor,
    name: str,
    *,
    scopes: Sequence[TokenScope],
    life: timedelta,
    within: Collection[TokenScope],
    owner: str | None = None,
    key: str | None = None,
) -> Issued:
    """A personal token, for oneself or (Admin) for a service account; never wider than `within`, what was shown.

    What is issued with a personal token ends when that one does. A signed token issues none.

    The same `key` again raises Conflict: a secret is nowhere kept to be shown twice.
    """
    if not timedelta(0) < life <= MAX_LIFE or not scopes or not name.strip():
        raise Invalid("a token needs a name, at least one scope, and a lifetime of at most 366 days")
    wider = [scope.value for scope in TokenScope if scope in scopes and scope not in within]
    if wider:
        raise Forbidden(f"the new token would have scopes yours does not have: {', '.join(wider)}")
    command = {"name": name, "scopes": [scope.value for scope in scopes], "life": str(life), "owner": owner}
    with ctx.store.write(actor, "issue_token", key=key, command=command) as unit:
        if unit.earlier(TokenView) is not None:
            raise Conflict(
                "this token was already issued and its secret is shown only once; revoke it and issue another"
            )
        if actor.person is None:
            raise Unauthorized("a token belongs to a person; sign in with drls login")
        shown = living(unit, actor)
        if actor.signed:
            raise Forbidden("a signed token cannot issue tokens; use a personal token, or sign in")
        if (caller := unit.people.get(actor.person)).kind is PersonKind.AGENT:
            raise Forbidden(f"{caller.name} is an agent and issues no tokens; its person does")
        # Whoever has an account may have a token: what it can do is asked of their grants each time.
        person = unit.people.named(owner) if owner else unit.people.get(actor.person)
        if person.id != actor.person:
            require(unit, actor, Role.ADMIN, Target(), "issuing someone else's token")
            if person.kind is not PersonKind.SERVICE:
                whose = "an agent; only its person issues tokens for it"
                whose = whose if person.kind is PersonKind.AGENT else "a person and must issue their own tokens"
                raise Forbidden(f"{person.name} is {whose}")
        if person.kind is PersonKind.SERVICE and TokenScope.APPROVE in scopes:
            raise Forbidden("service accounts and agents never approve; omit the scope")
        source = shown if shown is not None and shown.kind is TokenKind.PERSONAL else None
        issued = issue(
            unit, person, TokenKind.PERSONAL, name.strip(), scopes=tuple(scopes), life=life, issued_from=source
        )
        unit.remember(_shown(unit.people.token(issued.id)))
        return issued


def living(view: View, actor: Actor) -> Token | None:
    """The token that the actor came with; None for who came without one.

    Raises Unauthorized when it ended since they were let in.
    """
    if actor.token is None:
        return None
    token = view.people.token(actor.token)
    if not token.lives(view.now):
        raise Unauthorized("this token has ended; sign in again")
    return token


def issue(
    unit: Unit,
    person: Person,
    kind: TokenKind,
    name: str,
    *,
    scopes: tuple[TokenScope, ...],
    life: timedelta,
    issued_from: Token | None = None,
    unattended: bool = False,
) -> Issued:
    """Adds a token inside a unit of work; it is revoked with `issued_from`, and lives no longer.

    A one-time link is used up by what comes from it: that lives as long as it is given. Whoever had a hand in the
    account of a person has one in what is issued to their agents (L6).
    """
    secret = f"{PREFIX}{kind.value}_{secrets.token_urlsafe(32)}"
    expires_at = unit.now + life
    if issued_from is not None and issued_from.kind is not TokenKind.LINK:
        expires_at = min(expires_at, issued_from.expires_at)
    token = unit.people.add_token(
        person_id=person.id,
        kind=kind.value,
        name=name,
        secret_hash=hash_of(secret),
        scopes=[scope.value for scope in scopes],
        expires_at=expires_at,
        issued_from=issued_from.id if issued_from else None,
        unattended=True if unattended else None,
    )
    giver = unit.actor.person
    if giver is not None and giver != person.id:
        given = Credential.LINK if kind is TokenKind.LINK else Credential.TOKEN
        unit.people.add_hand(person.id, giver, given, token_id=token.id)
    if giver is None or giver in (person.id, person.acts_for):
        unit.people.pass_hands_on(token, giver or person.id)
    also = {"unattended": True} if unattended else {}
    unit.audit("token.issued", f"person:{person.name}", token=token.id, kind=kind.value, name=name, **also)
    return Issued(id=token.id, name=name, secret=secret, scopes=scopes, expires_at=token.expires_at)


def list_tokens(ctx: Context, actor: Actor) -> tuple[TokenView, ...]:
    """The actor's own valid tokens, and those of their agents."""
    with ctx.store.read() as view:
        agents = view.people.agents(actor.person or 0)
        names = {actor.person or 0: None, **{one.id: one.agent for one in agents}}
        tokens = [token for person in names for token in view.people.tokens(person)]
        return tuple(_shown(token, names[token.person_id]) for token in tokens if token.expires_at > view.now)


def revoke_token(ctx: Context, actor: Actor, token_id: int) -> TokenView:
    """Ends the actor's own token, one of an agent of theirs, or (Admin) anybody's."""
    with ctx.store.write(actor, "revoke_token") as unit:
        token = unit.people.token(token_id)
        owner = unit.people.get(token.person_id)
        theirs = owner.id == actor.person or (owner.kind is PersonKind.AGENT and owner.acts_for == actor.person)
        if not theirs:
            require(unit, actor, Role.ADMIN, Target(), "revoking someone else's token")
        if unit.people.end_token(token):
            unit.audit("token.revoked", f"token:{token_id}")
        return _shown(token, owner.agent)


def _shown(token: Token, agent: str | None = None) -> TokenView:
    found = {name: getattr(token, name) for name in TokenView.model_fields if name not in {"agent", "unattended"}}
    return TokenView(**found, agent=agent, unattended=token.unattended is True)
