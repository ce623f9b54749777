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


def sign_token(ctx: Context, actor: Actor, scopes: tuple[str, ...]) -> str:
    """A token for the acting person, no wider than `scopes`, valid for 15 minutes."""
    with ctx.store.read() as view:
        person = require(view, actor, Role.VIEWER, Target(), "a signed token")
        newest = _secrets(view)[0]
        claims = {
            "sub": str(person.id),
            "aud": AUDIENCE,
            "iss": view.log.head().log,
            "iat": view.now,
            "exp": view.now + LIFE,
            "epoch": person.access_epoch,
            "scopes": list(scopes),
        }
    return jwt.encode(claims, newest["secret"], algorithm="HS256", headers={"kid": newest["kid"]})


def read_token(view: View, text: str) -> tuple[Person, tuple[str, ...]]:
    """Whom a token was signed for, and its scopes. Raises Unauthorized for anything that is not as signed.

    A change of the person's grants, teams, password or account since then makes it worthless.
    """
    try:
        kid = str(jwt.get_unverified_header(text).get("kid"))
        known = {one["kid"]: one["secret"] for one in _secrets(view)}
        claims: dict[str, Any] = jwt.decode(
            text,
            known[kid],
            algorithms=["HS256"],
            audience=AUDIENCE,
            issuer=view.log.head().log,
            options={
                "require": ["exp", "sub", "aud", "iss", "iat"],
                "verify_exp": False,
                "verify_iat": False,
            },
        )
        expires, subject, epoch = float(claims["exp"]), int(claims["sub"]), claims.get("epoch")
    except (jwt.PyJWTError, KeyError, ValueError, TypeError):
        raise Unauthorized("this token is not valid; sign in again") from None
    if expires <= view.now.timestamp():
        raise Unauthorized("this token has expired; sign in again")
    person = view.people.get(subject)
    if person.disabled_at is not None or person.access_epoch != epoch:
        raise Unauthorized("what you may do changed since this token was signed; sign in again")
    return person, tuple(str(scope) for scope in claims.get("scopes", ()))


def rotate_secret(unit: Unit, *, keep: int = 1) -> None:
    """A new signing secret; tokens of the `keep` secrets before it stay valid until they expire."""
    setting = unit.settings.find(_SETTING)
    before: list[dict[str, str]] = setting.value["secrets"] if setting else []
    fresh = {"kid": secrets.token_hex(8), "secret": secrets.token_hex(32)}
    unit.settings.put(_SETTING, {"secrets": [fresh, *before[:keep]]})
    unit.audit("jwt_secret.rotated", "installation:jwt", kid=fresh["kid"])


def _secrets(view: View) -> list[dict[str, str]]:
    setting = view.settings.find(_SETTING)
    if setting is None:
        raise Unauthorized("this installation was not started yet; run drls serve")
    return setting.value["secrets"]
