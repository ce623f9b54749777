"""Whether a request may come in: who sends it, with which token. What a role may call is in `verbs.table`."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.routing import APIRoute

from lifecycle.app.kit.origin import SAFE, check_origin
from lifecycle.app.kit.request import COOKIE, context_in, csrf_of, host_of
from lifecycle.domain.credentials import TokenKind
from lifecycle.domain.people import WAY_IN, Actor, WayIn
from lifecycle.errors import Forbidden, Invalid, Unauthorized
from lifecycle.spec.repeated import repeated
from lifecycle.usecases.authenticate import Identity, authenticate
from lifecycle.verbs.carrying import Place, places
from lifecycle.verbs.table import ROWS, Need

_LISTS = {one.name for row in ROWS for one in places(row).values() if one.place is Place.QUERY and one.is_list}


def guard(request: Request) -> None:
    """Lets the request in or raises Unauthorized or Forbidden."""
    route = cast("APIRoute", request.scope["route"])
    access = cast("Mapping[tuple[str, str], Need]", request.app.state.access)
    need = access.get((request.method, route.path))
    if need is None:
        raise Forbidden(f"nobody may call {request.method} {route.path}")
    check_origin(request)
    check_query(request)
    if not need.signed_in:
        return
    identity = identify(request)
    need.admit(identity)
    request.state.actor = identity.actor
    request.state.scopes = identity.scopes


async def actor_of(request: Request) -> Actor:
    """Who was let in."""
    return cast("Actor", request.state.actor)


def check_query(request: Request) -> None:
    """One name with two values would be read by chance: refused, but for the lists."""
    if twice := repeated(name for name, _ in request.query_params.multi_items() if name not in _LISTS):
        raise Invalid(f"{twice[0]} is given more than once")


def identify(request: Request) -> Identity:
    """Who asks. Raises Unauthorized, or Forbidden for a page's change without its CSRF token."""
    ctx = context_in(request)
    host = host_of(request)
    header = request.headers.get("authorization")
    if header is not None:
        kind, _, credential = header.partition(" ")
        if kind.lower() != "bearer" or not credential:
            raise Unauthorized("send the token as Authorization: Bearer …")
        identity = authenticate(ctx, credential.strip(), WayIn.REST, host=host)
        return identity.coming_by(request.headers.get(WAY_IN))
    secret = request.cookies.get(COOKIE)
    if secret is None:
        raise Unauthorized("sign in first: drls login, or open the app")
    identity = authenticate(ctx, secret, WayIn.WEB, host=host, kind=TokenKind.SESSION)
    if request.method not in SAFE:
        sent = request.headers.get("x-csrf-token", "")
        if not hmac.compare_digest(sent.encode(), csrf_of(secret).encode()):
            raise Forbidden("the page is out of date or from another site (CSRF token); reload it")
    return identity


Who = Annotated[Actor, Depends(actor_of)]
