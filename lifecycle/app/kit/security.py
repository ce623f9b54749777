"""What every page says to the browser, and how much a browser may send."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lifecycle.app.kit.bodies import SMALL, BodyRefused, answer_unread, has_body, within
from lifecycle.app.kit.guard import recognise
from lifecycle.app.kit.problems import too_large, too_slow

MAX_BODY = 6 * 1024 * 1024
BODY_SECONDS = 120.0
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # With no-referrer a form's Origin would be "null", and it could not be distinguished from a foreign one.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Secured:
    """Adds the headers to each response, and reads a body within limits: nobody unknown sends more than a sign-in."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if not has_body(scope):
            await self._app(scope, receive, with_headers)
            return
        request = Request(scope)
        try:
            await run_in_threadpool(recognise, request)
            most = MAX_BODY if request.state.visitor is not None else SMALL
            receive = await within(scope, receive, most, BODY_SECONDS)
        except BodyRefused as error:
            answer = await (too_large(request, MAX_BODY) if error.status == 413 else too_slow(request))
            await answer_unread(answer, scope, receive, with_headers, rest=error.rest)
            return
        # The guard asks again, with the route's own needs.
        del request.state.visitor
        await self._app(scope, receive, with_headers)
