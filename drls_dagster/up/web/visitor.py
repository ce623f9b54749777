"""Who is at the door: a session of the lifecycle, a token, or this home's own processes."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from lifecycle.app.kit.request import COOKIE
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import WAY_IN, Actor, WayIn
from lifecycle.domain.roles import Role
from lifecycle.errors import Unauthorized
from lifecycle.usecases.authenticate import authenticate
from lifecycle.usecases.context import Context
from lifecycle.usecases.touching import widest_roles


@dataclass(frozen=True)
class Visitor:
    """Somebody who is known. `actor` None: a process of this home. `by_cookie`: a browser, which pages can misuse.

    `wide` is the role on everything, `highest` the highest on anything: what Dagster's UI offers rests on them. What is
    done is asked for by pipeline.
    """

    actor: Actor | None
    reads: bool
    writes: bool
    by_cookie: bool
    wide: Role | None = None
    highest: Role | None = None
    agent: bool = False

    @property
    def name(self) -> str:
        return self.actor.name if self.actor else "drls"


def visitor_of(ctx: Context, own_token: str, connection: HTTPConnection) -> Visitor:
    """Who sent this. Raises Unauthorized for nobody known.

    `reads` and `writes` say what the credential is for; `reads` also that they have a role on something.
    """
    host = connection.client.host if connection.client else ""
    header = connection.headers.get("authorization")
    if header is not None:
        kind, _, credential = header.partition(" ")
        credential = credential.strip()
        if kind.lower() != "bearer" or not credential:
            raise Unauthorized("send the token as Authorization: Bearer …")
        if hmac.compare_digest(credential.encode(), own_token.encode()):
            engineer = Role.DATA_ENGINEER
            return Visitor(None, reads=True, writes=True, by_cookie=False, wide=engineer, highest=engineer)
        identity = authenticate(ctx, credential, WayIn.REST, host=host).coming_by(connection.headers.get(WAY_IN))
    else:
        secret = connection.cookies.get(COOKIE)
        if secret is None:
            raise Unauthorized("sign in first")
        identity = authenticate(ctx, secret, WayIn.WEB, host=host, kind=TokenKind.SESSION)
    assert identity.actor.person is not None  # noqa: S101 (authenticate gives people)
    with ctx.store.read() as view:
        person = view.people.get(identity.actor.person)
        # Whoever acts for somebody may do what both may.
        asked = [person.id] if person.acts_for is None else [person.id, person.acts_for]
        roles = [widest_roles(view, one) for one in asked]
    highest = _least(high for _, high in roles)
    return Visitor(
        identity.actor,
        reads=highest is not None and TokenScope.READ in identity.scopes,
        writes=TokenScope.WRITE in identity.scopes,
        by_cookie=header is None,
        wide=_least(wide for wide, _ in roles),
        highest=highest,
        agent=identity.agent,
    )


def _least(roles: Iterable[Role | None]) -> Role | None:
    found = list(roles)
    return None if None in found else min((one for one in found if one), key=lambda role: role.rank)
