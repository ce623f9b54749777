"""Signing in and out, and changing your own password: in a session, so no verb."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, StringConstraints

from lifecycle.app.kit.request import COOKIE, Ctx, csrf_of, host_of
from lifecycle.app.kit.rest.guard import Who
from lifecycle.usecases.change_password import change_password
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.guessing import BROWSER_LIFE, known_browser
from lifecycle.usecases.sign_in import SESSION_LIFE, sign_in, sign_out, use_link
from lifecycle.usecases.tokens import Issued
from lifecycle.verbs.inputs import AccountName, Password
from lifecycle.verbs.verb import Input

router = APIRouter(prefix="/api", tags=["session"])
BROWSER = "drls_browser"
_Secret = Annotated[str, StringConstraints(max_length=1_000, pattern=r"^[^\x00]*$")]


class SignIn(Input):
    account: AccountName
    password: _Secret


class UseLink(Input):
    secret: Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]


class SignedIn(BaseModel):
    """`csrf` goes back in the header X-CSRF-Token with every change."""

    csrf: str
    expires_at: datetime


class ChangedPassword(Input):
    """`old` is the current password; only an account without one does without."""

    password: Password
    old: _Secret | None = None


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


@router.put("/me/password", status_code=204)
def put_own_password(ctx: Ctx, who: Who, request: Request, body: ChangedPassword, response: Response) -> None:
    """Sets the caller's password; all their sessions and tokens end. It takes a session and the current one."""
    session = change_password(ctx, who, body.old, body.password)
    sign_out(ctx, session.secret, host_of(request))
    response.delete_cookie(COOKIE)


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
