"""What a form answers: on to the next page, with one line that says what was done."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, cast

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from lifecycle.errors import Unauthorized
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.signed_tokens import seal, unseal

NOTICE = "drls_notice"
_AUDIENCE = "drls-notice"
_SECONDS = 60


Kind = Literal["good", "bad", "warn"]


def done(request: Request, url: str, notice: str = "", kind: Kind = "good") -> Response:
    """Sends the browser on to `url`, a path of this app; the page there says `notice` once.

    `kind` is good only where what was asked for is so now; warn where it was taken and has not happened yet.
    """
    if "hx-request" in request.headers:
        answer = Response(status_code=204, headers={"HX-Redirect": _loaded(request, url)})
    else:
        answer = RedirectResponse(url, 303)
    if notice:
        leave_notice(cast("Context", request.app.state.context), answer, notice, kind)
    return answer


def _loaded(request: Request, url: str) -> str:
    """`url` so that the browser asks for it: to a fragment of the page that is open it would only scroll."""
    there, _, fragment = url.partition("#")
    here = request.headers.get("hx-current-url", "").partition("#")[0]
    return there if fragment and here.endswith(there) else url


def leave_notice(context: Context, answer: Response, text: str, kind: Kind = "good") -> None:
    """What the next page says once."""
    sealed = seal(context, _AUDIENCE, {"text": text[:500], "kind": kind}, timedelta(seconds=_SECONDS))
    answer.set_cookie(NOTICE, sealed, max_age=_SECONDS, httponly=True, samesite="strict")


def take_notice(context: Context, request: Request, answer: Response) -> dict[str, str] | None:
    """What was left to be said: `text` and its `kind`; only this server can have written it."""
    sealed = request.cookies.get(NOTICE)
    if sealed is None:
        return None
    answer.delete_cookie(NOTICE)
    try:
        return unseal(context, _AUDIENCE, sealed)
    except Unauthorized:
        return None
