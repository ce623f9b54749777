"""Who is at the door: a session of the lifecycle, a token, or this home's own processes."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from lifecycle.app.api.guard import COOKIE
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.environment import Role
from lifecycle.domain.people import Actor, WayIn
from lifecycle.errors import Unauthorized
from lifecycle.usecases.authenticate import authenticate
from lifecycle.usecases.context import Context


@dataclass(frozen=True)
class Visitor:
    """Somebody who is known. `actor` None: a process of this home. `by_cookie`: a browser, which pages can misuse."""

    actor: Actor | None
    reads: bool
    writes: bool
    by_cookie: bool

    @property
    def name(self) -> str:
        return self.actor.name if self.actor else "drls"


def visitor_of(ctx: Context, own_token: str, connection: HTTPConnection) -> Visitor:
    """Who sent this. Raises Unauthorized for nobody known.

    `writes` says that they are a DataEngineer somewhere: which version may run where is the gate's to say.
    """
    host = connection.client.host if connection.client else ""
    header = connection.headers.get("authorization")
    if header is not None:
        kind, _, credential = header.partition(" ")
        credential = credential.strip()
        if kind.lower() != "bearer" or not credential:
            raise Unauthorized("send the token as Authorization: Bearer …")
        if hmac.compare_digest(credential.encode(), own_token.encode()):
            return Visitor(None, reads=True, writes=True, by_cookie=False)
        identity = authenticate(ctx, credential, WayIn.REST, host=host)
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
        roles = [[grant.role for grant in view.people.grants(one)] for one in asked]
    engineers = all(any(role.includes(Role.DATA_ENGINEER) for role in of_one) for of_one in roles)
    return Visitor(
        identity.actor,
        reads=all(roles) and TokenScope.READ in identity.scopes,
        writes=engineers and TokenScope.WRITE in identity.scopes,
        by_cookie=header is None,
    )
