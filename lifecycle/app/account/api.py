"""Signing in and out, and what a person does for themselves."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from lifecycle.app.kit.request import COOKIE, Ctx, csrf_of, host_of
from lifecycle.app.kit.rest.guard import Who
from lifecycle.app.kit.rest.models import (
    ChangedPassword,
    Id,
    Me,
    NewToken,
    Page,
    SignedIn,
    SignedToken,
    SignIn,
    UseLink,
)
from lifecycle.usecases.change_password import change_password
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.guessing import BROWSER_LIFE, known_browser
from lifecycle.usecases.parts.signed_tokens import sign_token
from lifecycle.usecases.sign_in import SESSION_LIFE, sign_in, sign_out, use_link
from lifecycle.usecases.tokens import Issued, TokenView, issue_token, list_tokens, revoke_token

router = APIRouter(prefix="/api", tags=["session"])
BROWSER = "drls_browser"


@router.post("/session")
def start_session(ctx: Ctx, request: Request, body: SignIn, response: Response) -> SignedIn:
    """Signs in with a password; sets the session cookie."""
    session = sign_in(ctx, body.account, body.password, host_of(request), browser=request.cookies.get(BROWSER))
    return _signed_in(ctx, request, response, session)


@router.post("/session/link")
def start_session_by_link(ctx: Ctx, request: Request, body: UseLink, response: Response) -> SignedIn:
    """Signs in with a one-time link's secret; sets the session cookie."""
    return _signed_in(ctx, request, response, use_link(ctx, body.secret, host_of(request)))


@router.delete("/session", status_code=204)
def end_session(ctx: Ctx, request: Request, response: Response) -> None:
    """Signs out; without a session nothing happens."""
    secret = request.cookies.get(COOKIE)
    if secret is not None:
        sign_out(ctx, secret, host_of(request))
    response.delete_cookie(COOKIE)


@router.get("/me")
def me(ctx: Ctx, who: Who, request: Request) -> Me:
    """Who the caller is."""
    with ctx.store.read() as view:
        grants = view.people.grants(who.person or 0)
        teams = view.people.team_names(who.person or 0)
        has_password = view.people.get(who.person or 0).password_hash is not None
    roles = sorted({f"{one.role.value} on {one.scope_value or 'everything'}" for one in grants})
    return Me(
        name=who.name, scopes=sorted(request.state.scopes), roles=roles, teams=list(teams), has_password=has_password
    )


@router.post("/me/signed-token", status_code=201)
def signed_token(ctx: Ctx, who: Who, request: Request) -> SignedToken:
    """A JSON Web Token for 15 minutes, with the scopes of what the caller showed: a token or a session.

    It ends with what it was made with, and makes no other token.
    """
    signed = sign_token(ctx, who, tuple(sorted(request.state.scopes)))
    return SignedToken(token=signed.text, expires_in=signed.seconds)


@router.put("/me/password", status_code=204)
def put_own_password(ctx: Ctx, who: Who, request: Request, body: ChangedPassword, response: Response) -> None:
    """Sets the caller's password; all their sessions and tokens end. It takes a session and the current one."""
    session = change_password(ctx, who, body.old, body.password)
    sign_out(ctx, session.secret, host_of(request))
    response.delete_cookie(COOKIE)


@router.get("/me/tokens")
def my_tokens(ctx: Ctx, who: Who) -> Page[TokenView]:
    """The caller's living tokens."""
    return Page(items=list(list_tokens(ctx, who)))


@router.post("/me/tokens", status_code=201)
def new_token(ctx: Ctx, who: Who, request: Request, body: NewToken) -> Issued:
    """A personal token; its secret is shown this once. It reaches no further than what the caller showed."""
    return issue_token(ctx, who, body.name, scopes=body.scopes, life=body.life, within=request.state.scopes)


@router.delete("/me/tokens/{token_id}")
def drop_token(ctx: Ctx, who: Who, token_id: Id) -> TokenView:
    """Revokes a token."""
    return revoke_token(ctx, who, token_id)


def _signed_in(ctx: Context, request: Request, response: Response, session: Issued) -> SignedIn:
    set_session(ctx, response, session, secure=request.url.scheme == "https")
    return SignedIn(csrf=csrf_of(session.secret), expires_at=session.expires_at)


def set_session(ctx: Context, response: Response, session: Issued, *, secure: bool) -> None:
    """Gives the browser its session, and what it is known by the next time its owner signs in here.

    `secure` when browsers reach this server over TLS.
    """
    known = known_browser(ctx, session)
    for name, value, life in ((COOKIE, session.secret, SESSION_LIFE), (BROWSER, known, BROWSER_LIFE)):
        response.set_cookie(
            name, value, max_age=int(life.total_seconds()), httponly=True, samesite="strict", secure=secure
        )
