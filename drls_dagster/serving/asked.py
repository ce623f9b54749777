"""What somebody asks a small HTTP service of ours: with which token, and what the body says, within bounds."""

from __future__ import annotations

from pydantic import ValidationError
from starlette.requests import Request


def shown_token(request: Request) -> str:
    """The token after `Authorization: Bearer`; empty without one."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token if kind.lower() == "bearer" else ""


async def body_within(request: Request, most: int) -> bytes | None:
    """The whole body; None as soon as it is longer than `most` bytes."""
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > most:
            return None
    return bytes(found)


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Where the first fault is, and what it is, without the value that was sent."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]
