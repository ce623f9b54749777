"""Errors on their way between a notebook, the keeper and who asks it."""

from __future__ import annotations

import json

from starlette.responses import Response

from lifecycle.errors import DrlsError, Forbidden, Invalid, NotFound, Refused, TooMany, Unauthorized

_KINDS: dict[str, type[DrlsError]] = {
    one.code: one for one in (Forbidden, NotFound, Unauthorized, Invalid, Refused, TooMany)
}


def problem(error: DrlsError) -> Response:
    """An error as its message and status."""
    return Response(json.dumps({"code": error.code, "message": error.message}), error.status)


def error_of(status: int, text: str) -> DrlsError:
    """What `problem` made, on the other side."""
    try:
        said = json.loads(text)
        message, code = str(said["message"]), said["code"]
    except (ValueError, KeyError, TypeError):
        return DrlsError(f"the process that keeps notebooks answered with {status}; see its log")
    return _KINDS.get(code, DrlsError)(message)
