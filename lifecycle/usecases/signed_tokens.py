"""Short-lived JSON Web Tokens (HS256), for programs that call often; the secret rotates."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import jwt

from lifecycle.domain.environment import Role
from lifecycle.domain.people import Actor, Person, Target
from lifecycle.errors import Unauthorized
from lifecycle.store.unit import Unit, View
from lifecycle.usecases.access import require
from lifecycle.usecases.context import Context

AUDIENCE = "drls"
LIFE = timedelta(minutes=15)
_SETTING = "jwt_secrets"
_NOT_VALID = "this token is not valid; sign in again"


def sign_token(ctx: Context, actor: Actor, scopes: tuple[str, ...]) -> str:
    """A token for the acting person, no wider than `scopes`, valid for 15 minutes."""
    with ctx.store.read() as view:
        person = require(view, actor, Role.VIEWER, Target(), "a signed token")
        claims = {"sub": str(person.id), "epoch": person.access_epoch, "scopes": list(scopes)}
        return _sign(view, AUDIENCE, claims, LIFE)


def read_token(view: View, text: str) -> tuple[Person, tuple[str, ...]]:
    """Whom a token was signed for, and its scopes. Raises Unauthorized for anything that is not as signed.

    A change of the person's grants, teams, password or account since then makes it worthless.
    """
    claims = _verify(view, AUDIENCE, text)
    try:
        subject = int(claims["sub"])
    except (KeyError, ValueError, TypeError):
        raise Unauthorized(_NOT_VALID) from None
    person = view.people.get(subject)
    if person.disabled_at is not None or person.access_epoch != claims.get("epoch"):
        raise Unauthorized("what you may do changed since this token was signed; sign in again")
    return person, tuple(str(scope) for scope in claims.get("scopes", ()))


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
        raise Unauthorized("this installation was not started yet; run drls serve")
    return setting.value["secrets"]
