"""In front of the REST app: no answer is kept by caches, no body is read for strangers or beyond its route's limit."""

from __future__ import annotations

import re
from typing import cast

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lifecycle.app.kit.bodies import SECONDS, SMALL, BodyRefused, answer_unread, has_body, within
from lifecycle.app.kit.origin import check_origin
from lifecycle.app.kit.rest.guard import identify
from lifecycle.app.kit.rest.problems import problem
from lifecycle.app.kit.rest.table import TABLE
from lifecycle.bundle.envelope import MAX_BYTES as MAX_BUNDLE
from lifecycle.errors import LifecycleError
from lifecycle.spec.reading import MAX_BYTES as MAX_DEFINITION
from lifecycle.verbs.table import Need

# A definition is text inside JSON, which escapes some of it.
_DEFINITION = 2 * MAX_DEFINITION
LARGE = {
    ("POST", "/api/pipeline-defs"): _DEFINITION,
    ("PUT", "/api/pipeline-defs/{name}"): _DEFINITION,
    ("POST", "/api/pipeline-defs/{name}/versions"): _DEFINITION,
    ("POST", "/api/pipeline-defs/import"): MAX_BUNDLE + SMALL,
}
LARGE_SECONDS = 120.0
_TOLD = {
    413: ("too_large", "the request is larger than this route takes"),
    408: ("too_slow", "the request did not arrive in time; send it again"),
}
_ROUTES = [(re.compile(re.sub(r"{\w+}", "[^/]+", path)), method, path) for method, path in sorted(TABLE)]


class Door:
    """Lets through what its route's limits allow; the app's own guard asks everything else."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        keep_out = _no_store(send)
        if not has_body(scope):
            await self._app(scope, receive, keep_out)
            return
        scope["app"] = self._app
        path, need = _route(scope["method"], scope["path"])
        try:
            if need is not None and need.signed_in:
                await run_in_threadpool(_known, Request(scope))
            most = LARGE.get((scope["method"], path), SMALL)
            receive = await within(scope, receive, most, LARGE_SECONDS if most > SMALL else SECONDS)
        except LifecycleError as error:
            await answer_unread(problem(error.status, error.code, error.message), scope, receive, keep_out)
        except BodyRefused as error:
            answer = problem(error.status, *_TOLD[error.status])
            await answer_unread(answer, scope, receive, keep_out, rest=error.rest)
        else:
            await cast("ASGIApp", self._app)(scope, receive, keep_out)


def _known(request: Request) -> None:
    """Raises Unauthorized or Forbidden for who is not even listened to."""
    check_origin(request)
    identify(request)


def _route(method: str, path: str) -> tuple[str, Need | None]:
    for pattern, of, template in _ROUTES:
        if of == method and pattern.fullmatch(path):
            return template, TABLE[of, template]
    return path, None


def _no_store(send: Send) -> Send:
    async def with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
        await send(message)

    return with_header
