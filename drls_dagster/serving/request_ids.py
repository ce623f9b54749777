"""An id for each request: in the answer, and in every line of the log that the request writes."""

from __future__ import annotations

import logging
import re
import secrets
import time
from contextvars import ContextVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from drls_dagster.serving.forwarded import PROXIED

HEADER = "X-Request-ID"
REQUEST_ID: ContextVar[str] = ContextVar("drls_request_id", default="")
_LOG = logging.getLogger("drls.requests")
_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{8,64}")
_LONGEST = 500


class Identified:
    """Names each request and logs how it was answered; as INFO, which is not written unless logs are JSON.

    Only a trusted proxy may name it: an id from anybody else could pass for that of another request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "") if scope.get(PROXIED) else ""
        name = given if _ACCEPTED.fullmatch(given) else secrets.token_hex(8)
        token = REQUEST_ID.set(name)
        began, status = time.perf_counter(), 0

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = status or message["status"]
                MutableHeaders(scope=message)[HEADER] = name
            await send(message)

        try:
            await self._app(scope, receive, named)
        finally:
            seconds = round(time.perf_counter() - began, 4)
            _log(scope, status, seconds)
            REQUEST_ID.reset(token)


def _log(scope: Scope, status: int, seconds: float) -> None:
    """Without the query, which may say what somebody searches for, and without who asks: the audit log has that."""
    path = scope["path"][:_LONGEST]
    route = getattr(scope.get("route"), "path", None)
    told = {"method": scope["method"], "path": path, "route": route, "status": status, "seconds": seconds}
    _LOG.info("%s %s %s", scope["method"], path, status, extra={"told": told})
