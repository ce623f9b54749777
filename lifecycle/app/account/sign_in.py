"""Signing in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from lifecycle.app.account.api import BROWSER, set_session
from lifecycle.app.kit.answers import done
from lifecycle.app.kit.guard import Who, safe_back
from lifecycle.app.kit.parts import IdentityProvider, parts_in
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import COOKIE, Ctx, host_of
from lifecycle.errors import TooMany, Unauthorized
from lifecycle.usecases.context import Context
from lifecycle.usecases.sign_in import sign_in, sign_out, use_link
from lifecycle.usecases.tokens import Issued

router = APIRouter()
_Back = Annotated[str, Query(max_length=2_000)]


@router.get("/sign-in")
def sign_in_page(request: Request, back: _Back = "/") -> Response:
    """The form; a visitor who is already signed in is sent on."""
    if request.state.visitor is not None:
        return RedirectResponse(safe_back(back), 303)
    return _form(request, back)


@router.post("/sign-in")
def enter(
    ctx: Ctx,
    request: Request,
    account: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(max_length=1_000)],
    back: Annotated[str, Form(max_length=2_000)] = "/",
) -> Response:
    """Signs in with a password; every sign-in is a new session, whatever cookie came along."""
    try:
        session = sign_in(ctx, account, password, host_of(request), browser=request.cookies.get(BROWSER))
    except (Unauthorized, TooMany) as error:
        answer = _form(request, back, told=error.message, account=account, status=error.status)
        if isinstance(error, TooMany) and error.retry_after is not None:
            answer.headers["Retry-After"] = str(error.retry_after)
        return answer
    return _entered(ctx, request, session, back)


@router.post("/sign-in/link")
def enter_by_link(ctx: Ctx, request: Request, secret: Annotated[str, Form(max_length=200)]) -> Response:
    """Signs in with a one-time link's secret, which the page took from behind its address's #."""
    try:
        session = use_link(ctx, secret, host_of(request))
    except Unauthorized as error:
        return _form(request, "/", told=error.message, status=error.status)
    return _entered(ctx, request, session, "/")


@router.get("/sign-in/link")
def no_link() -> Response:
    """The address that a link is sent to, opened or loaded again: the secret is not in it."""
    return RedirectResponse("/sign-in", 303)


@router.post("/sign-out")
def leave(ctx: Ctx, request: Request, who: Who) -> Response:
    """Ends the session, here and in the store."""
    sign_out(ctx, who.session, host_of(request))
    answer = done(request, "/sign-in")
    answer.delete_cookie(COOKIE)
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


def _form(request: Request, back: str, *, told: str = "", account: str = "", status: int = 200) -> Response:
    return render(
        request,
        "account/sign_in.html",
        status=status,
        back=safe_back(back),
        told=told,
        account=account,
        openid=parts_in(request).has(IdentityProvider),
    )


def _entered(ctx: Context, request: Request, session: Issued, back: str) -> Response:
    answer = RedirectResponse(safe_back(back), 303)
    set_session(ctx, answer, session, secure=request.url.scheme == "https")
    return answer
