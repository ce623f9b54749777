"""The one dependency that lets a request for a page in: a browser's session, its role, its own forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, cast
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.datastructures import FormData

from lifecycle.app.kit.csrf import FIELD, is_own
from lifecycle.app.kit.needs import PageNeed
from lifecycle.app.kit.origin import SAFE, check_origin
from lifecycle.app.kit.request import COOKIE, Ctx, host_of
from lifecycle.domain.credentials import TokenKind, TokenScope
from lifecycle.domain.people import Actor, Grant, Person, WayIn
from lifecycle.domain.roles import Role
from lifecycle.errors import Forbidden, Invalid, NotFound, Unauthorized
from lifecycle.usecases.authenticate import authenticate
from lifecycle.usecases.context import Context

MAX_FIELDS = 200
MAX_FILES = 1


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page. `session` is the secret in their cookie; it never goes into a page.

    `after` is the last audit entry before the page was made: what comes behind it, the page may not show yet.
    """

    actor: Actor
    person: Person
    grants: tuple[Grant, ...]
    session: str
    scopes: frozenset[TokenScope]
    after: int

    def has(self, role: Role) -> bool:
        """Whether they have this role anywhere; whether they have it here is asked again by each verb."""
        return any(grant.role.includes(role) for grant in self.grants)


class CrossSite(Exception):
    """Another site's link led here, so the browser kept the strict cookie back: the page reloads automatically."""


async def form_of(request: Request) -> FormData | None:
    """The form of a request that changes something, read once."""
    if request.method in SAFE:
        return None
    return await request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS)


def page_guard(ctx: Ctx, request: Request, form: Annotated[FormData | None, Depends(form_of)]) -> None:
    """Lets the request in, or raises Unauthorized, Forbidden, CrossSite, or Invalid for a text that no store keeps."""
    _let_in(ctx, request, form)
    # After the visitor is known, so that the refusal is a page of theirs. Keys are also kept in a row.
    for name, value in form.multi_items() if form is not None else ():
        if isinstance(value, str) and "\x00" in value:
            raise Invalid(f"{name} contains a NUL character, which cannot be stored; remove it")


def _let_in(ctx: Context, request: Request, form: FormData | None) -> None:
    route = cast("APIRoute", request.scope["route"])
    access = cast("Mapping[tuple[str, str], PageNeed]", request.app.state.access)
    need = access.get((request.method, route.path))
    if need is None:
        raise NotFound("this page does not exist")
    check_origin(request)
    secret = request.cookies.get(COOKIE)
    request.state.visitor = None
    if not need.signed_in and secret is None:
        return
    if secret is None:
        if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
            raise CrossSite
        raise Unauthorized("sign in first")
    try:
        visitor = _recognised(ctx, request, secret)
    except Unauthorized:
        if not need.signed_in:
            return
        raise
    request.state.visitor = visitor
    if not need.signed_in:
        return
    if need.role is not None and not visitor.has(need.role):
        raise Forbidden(f"this page needs the role {need.role.value}; ask an Admin for a grant")
    if form is not None and not is_own(secret, form.get(FIELD)):
        raise Forbidden("the page is out of date or from another site (CSRF token); reload it")


def recognise(request: Request) -> None:
    """Who asks for what no page answers, so that the page which says so is one of theirs."""
    if hasattr(request.state, "visitor"):
        return
    secret = request.cookies.get(COOKIE)
    try:
        visitor = _recognised(cast("Context", request.app.state.context), request, secret) if secret else None
    except Unauthorized:
        visitor = None
    request.state.visitor = visitor


def _recognised(ctx: Context, request: Request, secret: str) -> Visitor:
    identity = authenticate(ctx, secret, WayIn.WEB, host=host_of(request), kind=TokenKind.SESSION)
    assert identity.actor.person is not None  # noqa: S101 (authenticate gives people)
    with ctx.store.read() as view:
        person = view.people.get(identity.actor.person)
        after = view.log.head().sequence
    return Visitor(identity.actor, person, identity.grants, secret, identity.scopes, after)


async def visitor_of(request: Request) -> Visitor:
    """Who was let in."""
    return cast("Visitor", request.state.visitor)


def safe_back(path: str | None) -> str:
    """`path` when it leads to a page of this app, else the home page: never to another site."""
    if path is None or not path.startswith("/") or path.startswith(("//", "/\\")) or not path.isprintable():
        return "/"
    parts = urlsplit(path)
    return path if not parts.netloc and not parts.scheme and "\\" not in path else "/"


def sign_in_url(request: Request) -> str:
    """Where to sign in, and come back from to the page that was asked for."""
    shown = urlsplit(request.headers.get("hx-current-url", ""))
    back = shown.path or request.url.path
    query = shown.query if shown.path else request.url.query
    if request.method not in SAFE and not shown.path:
        back, query = "/", ""
    return "/sign-in?back=" + quote(back + (f"?{query}" if query else ""), safe="")


Who = Annotated[Visitor, Depends(visitor_of)]
