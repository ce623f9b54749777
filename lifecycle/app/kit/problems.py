"""Errors as pages: one line for people, at the form that caused it where scripts run."""

from __future__ import annotations

import logging
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response

from lifecycle.app.kit.guard import CrossSite, Visitor, recognise, sign_in_url
from lifecycle.app.kit.render import render
from lifecycle.app.kit.request import REFUSED
from lifecycle.app.kit.words import on_page
from lifecycle.domain.roles import Role
from lifecycle.errors import DrlsError, Unauthorized

_LOG = logging.getLogger(__name__)
_TITLES = {
    400: "Bad request",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict: something changed",
    413: "Too large",
    422: "Check your input",
    429: "Too many attempts",
    500: "Something went wrong",
    502: "Catalog or data error",
    503: "Service unavailable",
}


def add_handlers(app: FastAPI) -> None:
    """Makes every error of `app` a page, or a line in the page that is open."""

    @app.exception_handler(DrlsError)
    async def refused(request: Request, error: DrlsError) -> Response:  # pyright: ignore[reportUnusedFunction]
        request.scope[REFUSED] = error.code
        if isinstance(error, Unauthorized) and request.url.path != "/sign-in":
            return _to_sign_in(request)
        if _lost_all(request):
            # A part of an open page asks: the page as a whole is no longer theirs, and says so when it is loaded.
            return Response(status_code=error.status, headers={"HX-Refresh": "true"})
        return await _told(request, error.status, error.message)

    @app.exception_handler(CrossSite)
    async def cross_site(request: Request, _: CrossSite) -> Response:  # pyright: ignore[reportUnusedFunction]
        # The page comes from here now, so the browser sends its strict cookie with what it asks next.
        return HTMLResponse(
            '<!doctype html><html lang="en"><title>DRLS</title><meta http-equiv="refresh" content="0">'
            "<p>Opening DRLS…</p></html>"
        )

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:  # pyright: ignore[reportUnusedFunction]
        if any(one["loc"][0] == "path" for one in error.errors()):
            return await _told(request, 404, "this page does not exist")
        found = [f"{_field(one['loc'])}: {one['msg']}" for one in error.errors()]
        return await _told(request, 422, "\n".join(found))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:  # pyright: ignore[reportUnusedFunction]
        # No page was found, so nothing asked yet who is there.
        await run_in_threadpool(recognise, request)
        detail = "this page does not exist" if error.status_code == 404 else str(error.detail)
        return await _told(request, error.status_code, detail)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return await _told(request, 500, "this is a bug in DRLS; the server's log has the details")


async def too_large(request: Request, most: int) -> Response:
    """What answers a body of more than `most` bytes, which nothing has read."""
    await run_in_threadpool(recognise, request)
    return await _told(request, 413, f"the file is too large: at most {most // 1024 // 1024} MB may be sent")


async def too_slow(request: Request) -> Response:
    """What answers a body that did not arrive in time."""
    await run_in_threadpool(recognise, request)
    return await _told(request, 408, "the form did not arrive in time; send it again")


async def _told(request: Request, status: int, message: str) -> Response:
    lines = [on_page(line) for line in message.splitlines() if line.strip()] or ["no reason given"]
    if "hx-request" in request.headers:
        return await run_in_threadpool(render, request, "parts/refusal.html", status=status, lines=lines)
    title = _TITLES.get(status, "Not possible")
    return await run_in_threadpool(render, request, "error.html", status=status, title=title, lines=lines)


def _lost_all(request: Request) -> bool:
    """Whether the part of a page is asked for by somebody who has no role left."""
    visitor = cast("Visitor | None", getattr(request.state, "visitor", None))
    is_part = request.method == "GET" and "hx-request" in request.headers
    return is_part and visitor is not None and not visitor.has(Role.VIEWER)


def _to_sign_in(request: Request) -> Response:
    url = sign_in_url(request)
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": url})
    return RedirectResponse(url, 303)


def _field(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place[1:]) or "the form"
