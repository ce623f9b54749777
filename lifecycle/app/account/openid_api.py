"""Signing in at an OpenID Connect provider: there, and back with a session like any other."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from datetime import timedelta
from html import escape
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from lifecycle.app.account.api import set_session
from lifecycle.app.account.openid import CALLBACK, Attempt, OpenIdProvider
from lifecycle.app.kit.answers import leave_notice
from lifecycle.app.kit.parts import parts_in
from lifecycle.app.kit.request import Ctx, host_of
from lifecycle.errors import DrlsError, Invalid, NotFound, Unauthorized
from lifecycle.usecases.context import Context
from lifecycle.usecases.openid_accounts import sign_in_with_openid
from lifecycle.usecases.parts.signed_tokens import seal, unseal


class _ForBrowsers(APIRoute):
    """Programs get a problem; a browser that shows what comes is led back to the sign-in page, which says why."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except (DrlsError, RequestValidationError) as error:
                if request.headers.get("sec-fetch-mode") != "navigate":
                    raise
                refused = error if isinstance(error, DrlsError) else Invalid("the sign-in did not start here")
                return await run_in_threadpool(_to_sign_in, _context(request), refused)

        return handled


router = APIRouter(tags=["session"], route_class=_ForBrowsers)
ATTEMPT = "drls_sign_in"
_AUDIENCE = "drls-openid"
_LIFE = timedelta(minutes=10)
_Code = Annotated[str | None, Query(max_length=4_000, pattern=r"^[!-~]+$")]


@router.get(
    "/api/session/oidc",
    response_class=RedirectResponse,
    status_code=303,
    responses={303: {"description": "Redirect to the provider"}},
)
def begin_openid(
    ctx: Ctx,
    request: Request,
    back: Annotated[str, Query(max_length=500, pattern=r"^/([A-Za-z0-9_.~?&=%-][!-~]*)?$")] = "/",
) -> RedirectResponse:
    """Sends the browser to the provider, and then to the path `back`."""
    address, attempt = _provider(request).begin(back)
    answer = RedirectResponse(address, status_code=303)
    answer.set_cookie(
        ATTEMPT,
        seal(ctx, _AUDIENCE, attempt.model_dump(), _LIFE),
        max_age=int(_LIFE.total_seconds()),
        path=CALLBACK,
        httponly=True,
        # Strict would keep it back when the provider sends the browser here.
        samesite="lax",
        secure=_provider(request).settings.public_url.startswith("https://"),
    )
    return answer


@router.get(CALLBACK, response_class=HTMLResponse)
def finish_openid(
    ctx: Ctx,
    request: Request,
    code: _Code = None,
    state: _Code = None,
    error: _Code = None,
) -> Response:
    """Where the provider sends the browser back; sets the session cookie."""
    provider = _provider(request)
    attempt = _attempt(ctx, request, state)
    if error is not None or code is None:
        raise Unauthorized(f"the provider did not sign you in ({(error or 'no code')[:50]}); start again")
    user = provider.finish(attempt, code, ctx.clock.now())
    session = sign_in_with_openid(ctx, user, provider.settings.accounts, host_of(request))
    answer = _onward(attempt.back)
    set_session(ctx, answer, session, secure=provider.settings.public_url.startswith("https://"))
    answer.delete_cookie(ATTEMPT, path=CALLBACK)
    return answer


def _onward(path: str, status: int = 200) -> Response:
    """A redirect would still count as coming from the provider, and strict cookies would stay behind."""
    target = escape(path, quote=True)
    page = (
        '<!doctype html><html lang="en"><title>DRLS</title>'
        f'<meta http-equiv="refresh" content="0;url={target}"><a href="{target}">DRLS</a>'
    )
    return HTMLResponse(page, status, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _to_sign_in(context: Context, error: DrlsError) -> Response:
    answer = _onward("/sign-in", error.status)
    leave_notice(context, answer, error.message, "bad")
    return answer


def _context(request: Request) -> Context:
    return cast("Context", request.app.state.context)


def _provider(request: Request) -> OpenIdProvider:
    provider = parts_in(request).find(OpenIdProvider)
    if provider is None:
        raise NotFound("no OpenID Connect provider is configured here; sign in with a password")
    return provider


def _attempt(ctx: Ctx, request: Request, state: str | None) -> Attempt:
    """What this very browser began. Raises Unauthorized when it began nothing, or something else."""
    attempt = Attempt.model_validate(unseal(ctx, _AUDIENCE, request.cookies.get(ATTEMPT, "")))
    if not hmac.compare_digest(attempt.state, state or ""):
        raise Unauthorized("this browser did not start this sign-in; start again")
    return attempt
