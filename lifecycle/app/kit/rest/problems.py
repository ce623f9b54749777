"""Errors as problem+json (RFC 9457)."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from lifecycle.app.kit.request import REFUSED
from lifecycle.errors import DrlsError, TooMany

_LOG = logging.getLogger(__name__)


class Problem(BaseModel):
    """What went wrong: `code` is for programs, `detail` one line for people."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    errors: list[str] = []


_SCHEMA = {"$ref": "#/components/schemas/Problem"}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/problem+json": {"schema": _SCHEMA}}}
    for status, text in {"4XX": "Refused", "5XX": "Failed"}.items()
}


def problem(status: int, code: str, detail: str, errors: list[str] | None = None, **headers: str) -> JSONResponse:
    """A problem as a response."""
    body = Problem(title=code.replace("_", " "), status=status, code=code, detail=detail, errors=errors or [])
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body.model_dump(), status, headers, media_type="application/problem+json")


def add_handlers(app: FastAPI) -> None:
    """Makes every error of `app` a problem."""

    @app.exception_handler(DrlsError)
    def refused(request: Request, error: DrlsError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        request.scope[REFUSED] = error.code
        lines = error.message.splitlines() or [error.code]
        wait = error.retry_after if isinstance(error, TooMany) else None
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return problem(error.status, error.code, lines[0], lines if error.status == 422 else [], **headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        found = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
        return problem(422, "invalid", found[0] if found else "the request is not valid", found)

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return problem(error.status_code, "http", str(error.detail), None, **dict(error.headers or {}))

    @app.exception_handler(Exception)
    def failed(request: Request, error: Exception) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem(500, "error", "this is a bug in DRLS; the server's log has the details")
