"""Short-lived JSON Web Tokens (HS256), for programs that call often; the secret rotates.

One is bound to the personal token or session that it was made with, and works no longer than that one.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import jwt

from lifecycle.domain.credentials import Token, TokenKind
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor, Person, PersonKind, Target
from lifecycle.domain.roles import Role
from lifecycle.errors import Forbidden, Unauthorized
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require

AUDIENCE = "drls"
LIFE = timedelta(minutes=15)
_SETTING = "jwt_secrets"
_NOT_VALID = "this token is not valid; sign in again"


class Signed(Frozen):
    """A signed token, and how many seconds it is valid."""

    text: str
    seconds: int


def sign_token(ctx: Context, actor: Actor, scopes: tuple[str, ...]) -> Signed:
    """A token for the acting person, no wider than `scopes`, valid for 15 minutes and not longer than what they showed.

    Raises Forbidden for who shows a signed token: it does not renew itself.
    """
    with ctx.store.read() as view:
        shown = made_with(view, actor)
        person = require(view, actor, Role.VIEWER, Target(), "a signed token")
        if person.kind is PersonKind.AGENT:
            raise Forbidden(f"{person.name} is an agent; only its person makes tokens for it")
        return _signed(view, person, shown, scopes, {})


def sign_for_agent(view: View, agent: Person, shown: Token, scopes: tuple[str, ...]) -> Signed:
    """The same for an agent of the person who showed `shown`: also a change of that person makes it worthless (A8)."""
    owner = view.people.get(shown.person_id)
    return _signed(view, agent, shown, scopes, {"owner_epoch": owner.access_epoch})


def made_with(view: View, actor: Actor) -> Token:
    """The personal token or session that the actor came with.

    Raises Forbidden for who shows a signed token, Unauthorized where it has ended since.
    """
    if actor.signed or actor.token is None:
        raise Forbidden("create a signed token with a personal token or a session, not with another signed token")
    shown = view.people.token(actor.token)
    if not shown.lives(view.now):
        raise Unauthorized("this token has ended; sign in again")
    return shown


def _signed(view: View, person: Person, shown: Token, scopes: tuple[str, ...], also: dict[str, int]) -> Signed:
    life = min(LIFE, shown.expires_at - view.now)
    claims = {"sub": str(person.id), "epoch": person.access_epoch, "scopes": list(scopes), "tid": shown.id, **also}
    return Signed(text=_sign(view, AUDIENCE, claims, life), seconds=int(life.total_seconds()))


class Read(NamedTuple):
    """What a signed token says; it ends at `until`, or before with what it was made with."""

    person: Person
    scopes: tuple[str, ...]
    made_with: Token
    until: datetime


def read_token(view: View, text: str) -> Read:
    """Whom a token was signed for, its scopes, and what it was made with. Raises Unauthorized for forgeries.

    A change of the person's grants, teams, password or account since then makes it worthless, and so does the end of
    what it was made with. An agent's was made with what its person showed, and depends on both accounts (A8).
    """
    claims = _verify(view, AUDIENCE, text)
    try:
        subject, token_id = int(claims["sub"]), int(claims["tid"])
    except (KeyError, ValueError, TypeError):
        raise Unauthorized(_NOT_VALID) from None
    person = view.people.get(subject)
    token = view.people.token(token_id)
    owner = view.people.get(person.acts_for or 0) if person.kind is PersonKind.AGENT else person
    if token.person_id != owner.id or token.kind is TokenKind.LINK or not token.lives(view.now):
        raise Unauthorized("the token or session behind this token has ended; sign in again")
    if claims["exp"] - claims["iat"] > LIFE.total_seconds():
        raise Unauthorized(_NOT_VALID)
    unchanged = person.access_epoch == claims.get("epoch") and (
        owner is person or owner.access_epoch == claims.get("owner_epoch")
    )
    if person.disabled_at is not None or owner.disabled_at is not None or not unchanged:
        raise Unauthorized("your permissions have changed since this token was signed; sign in again")
    scopes = tuple(str(scope) for scope in claims.get("scopes", ()) if scope in token.scopes)
    return Read(person, scopes, token, min(datetime.fromtimestamp(claims["exp"], UTC), token.expires_at))


def seal(ctx: Context, audience: str, content: dict[str, str], life: timedelta) -> str:
    """`content`, readable but not to be changed, for somebody to bring back within `life`."""
    with ctx.store.read() as view:
        return _sign(view, audience, {"content": content}, life)


def unseal(ctx: Context, audience: str, text: str) -> dict[str, str]:
    """What was sealed for `audience`. Raises Unauthorized for anything else, and for what is too old."""
    with ctx.store.read() as view:
        return _verify(view, audience, text)["content"]


def rotate_secret(unit: Unit, *, keep: int = 1) -> None:
    """A new signing secret; tokens of the `keep` secrets before it stay valid until they expire."""
    setting = unit.settings.find(_SETTING)
    before: list[dict[str, str]] = setting.value["secrets"] if setting else []
    fresh = {"kid": secrets.token_hex(8), "secret": secrets.token_hex(32)}
    unit.settings.put(_SETTING, {"secrets": [fresh, *before[:keep]]})
    unit.audit("jwt_secret.rotated", "installation:jwt", kid=fresh["kid"])


def _sign(view: View, audience: str, claims: dict[str, Any], life: timedelta) -> str:
    newest = _secrets(view)[0]
    whole = {**claims, "aud": audience, "iss": view.log.head().log, "iat": view.now, "exp": view.now + life}
    return jwt.encode(whole, newest["secret"], algorithm="HS256", headers={"kid": newest["kid"]})


def _verify(view: View, audience: str, text: str) -> dict[str, Any]:
    try:
        kid = str(jwt.get_unverified_header(text).get("kid"))
        known = {one["kid"]: one["secret"] for one in _secrets(view)}
        claims: dict[str, Any] = jwt.decode(
            text,
            known[kid],
            algorithms=["HS256"],
            audience=audience,
            issuer=view.log.head().log,
            options={"require": ["exp", "aud", "iss", "iat"], "verify_exp": False, "verify_iat": False},
        )
        expires = float(claims["exp"])
    except (jwt.PyJWTError, KeyError, ValueError, TypeError):
        raise Unauthorized(_NOT_VALID) from None
    # By the Clock port, like every other time.
    if expires <= view.now.timestamp():
        raise Unauthorized("this token has expired; sign in again")
    return claims


def _secrets(view: View) -> list[dict[str, str]]:
    setting = view.settings.find(_SETTING)
    if setting is None:
        raise Unauthorized("this installation has not been started yet; run drls serve")
    return setting.value["secrets"]
