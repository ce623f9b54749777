"""How tests of accounts sign in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import jwt
import pytest

from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import Actor, WayIn
from lifecycle.errors import Unauthorized
from lifecycle.usecases.authenticate import authenticate
from lifecycle.usecases.sign_in import sign_in
from lifecycle.usecases.tokens import issue_token
from tests.lifecycle.life import Life

PASSWORD = "a long enough password"


def guess(life: Life, times: int, name: str = "ada", host: str = "host") -> None:
    for _ in range(times):
        with pytest.raises(Unauthorized, match="wrong account name or password"):
            sign_in(life.ctx, name, "wrong wrong wrong", host)


def with_token(life: Life, name: str = "ada", *scopes: TokenScope, days: float = 1) -> Actor:
    """Somebody who came with a personal token."""
    issued = issue_token(
        life.ctx, life.as_(name), "ci", scopes=scopes or tuple(TokenScope), life=timedelta(days=days), within=TokenScope
    )
    return authenticate(life.ctx, issued.secret, WayIn.REST).actor


def with_session(life: Life, name: str = "ada", password: str = PASSWORD) -> Actor:
    """Somebody who signed in."""
    opened = sign_in(life.ctx, name, password, "host")
    return authenticate(life.ctx, opened.secret, WayIn.WEB, kind=TokenKind.SESSION).actor


def forged(life: Life, **changes: Any) -> str:
    made_with = with_token(life).token
    with life.store.read() as view:
        setting = view.settings.find("jwt_secrets")
        assert setting is not None
        one = setting.value["secrets"][0]
        claims = {
            "sub": str(life.person("ada")), "aud": "drls", "iss": view.log.head().log, "iat": life.clock.now(),
            "exp": life.clock.now() + timedelta(minutes=5), "epoch": view.people.named("ada").access_epoch,
            "tid": made_with,
        }  # fmt: skip
    algorithm = changes.pop("algorithm", "HS256")
    secret = changes.pop("secret", one["secret"])
    given = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode(given, secret if algorithm != "none" else "", algorithm=algorithm, headers={"kid": one["kid"]})
