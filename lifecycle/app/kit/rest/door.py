"""In front of the REST app: no answer is kept by caches, no body is read for strangers or beyond its route's limit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lifecycle.app.kit.bodies import SECONDS, SMALL, BodyRefused, answer_unread, has_body, within
from lifecycle.app.kit.origin import check_origin
from lifecycle.app.kit.rest.guard import identify
from lifecycle.app.kit.rest.problems import problem
from lifecycle.errors import LifecycleError
from lifecycle.verbs.table import Need

LARGE_SECONDS = 120.0
_TOLD = {
    413: ("too_large", "the request is larger than this route allows"),
    408: ("too_slow", "the request did not arrive in time; send it again"),
}


class Door:
    """Lets through what its route's limits allow; the app's own guard asks everything else."""

    def __init__(
        self, app: FastAPI, access: Mapping[tuple[str, str], Need], large: Mapping[tuple[str, str], int]
    ) -> None:
        self._app, self._access, self._large = app, access, large
        self._routes = [(re.compile(re.sub(r"{\w+}", "[^/]+", path)), method, path) for method, path in sorted(access)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        keep_out = _no_store(send)
        if not has_body(scope):
            await self._app(scope, receive, keep_out)
            return
        scope["app"] = self._app
        path, need = self._route(scope["method"], scope["path"])
        try:
            if need is not None and need.signed_in:
                await run_in_threadpool(_known, Request(scope))
            most = self._large.get((scope["method"], path), SMALL)
            receive = await within(scope, receive, most, LARGE_SECONDS if most > SMALL else SECONDS)
        except LifecycleError as error:
            await answer_unread(problem(error.status, error.code, error.message), scope, receive, keep_out)
        except BodyRefused as error:
            answer = problem(error.status, *_TOLD[error.status])
            await answer_unread(answer, scope, receive, keep_out, rest=error.rest)
        else:
            await cast("ASGIApp", self._app)(scope, receive, keep_out)

    def _route(self, method: str, path: str) -> tuple[str, Need | None]:
        for pattern, of, template in self._routes:
            if of == method and pattern.fullmatch(path):
                return template, self._access[of, template]
        return path, None


def _known(request: Request) -> None:
    """Raises Unauthorized or Forbidden for who is not even listened to."""
    check_origin(request)
    identify(request)


def _no_store(send: Send) -> Send:
    async def with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
        await send(message)

    return with_header
