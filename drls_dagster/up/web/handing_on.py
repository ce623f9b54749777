"""What handing a request on to a process behind a Unix socket takes, whichever process it is."""

from __future__ import annotations

import httpx
from starlette.requests import HTTPConnection
from starlette.types import Message, Send

CONNECT_SECONDS = 5.0
# For the next hop only (RFC 9110, 7.6.1).
HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
    }
)
# What the door says itself or anew, and what stays here.
OURS = frozenset({"content-length", "cookie", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"})


def target_of(connection: HTTPConnection) -> str:
    """What was asked for, as it came: path and query."""
    path: str = connection.scope.get("raw_path", b"").decode("ascii") or connection.url.path
    query: str = connection.scope["query_string"].decode("ascii")
    return f"{path}{'?' if query else ''}{query}"


async def send_on(answer: httpx.Response, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    """An answer as it comes, with these headers. A process that ended in the middle ends it."""
    start: Message = {"type": "http.response.start", "status": answer.status_code, "headers": headers}
    await send(start)
    try:
        async for part in answer.aiter_raw():
            await send({"type": "http.response.body", "body": part, "more_body": True})
    except httpx.TransportError:
        pass
    await send({"type": "http.response.body", "body": b""})
