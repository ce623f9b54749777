"""How much a client may send, and for how long: a body is read within limits before anything looks at it."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

SMALL = 64 * 1024
SECONDS = 30.0
# A client hears that it sends too much when it has sent it; one that keeps sending is cut off.
DRAINED = 32 * 1024 * 1024
DRAIN_SECONDS = 5.0


class BodyRefused(Exception):
    """A body that is too large (413), or did not arrive in time (408). `rest`: some of it is still to come."""

    def __init__(self, status: int, *, rest: bool = False) -> None:
        super().__init__(status)
        self.status, self.rest = status, rest


def has_body(scope: Scope) -> bool:
    """Whether a request says that it has a body."""
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def within(scope: Scope, receive: Receive, most: int, seconds: float = SECONDS) -> Receive:
    """`receive` with the whole body read, of at most `most` bytes. Raises BodyRefused."""
    length = Headers(scope=scope).get("content-length", "0")
    if not length.isdecimal() or int(length) > most:
        raise BodyRefused(413, rest=True)
    body = bytearray()
    last: Message = {"type": "http.request", "more_body": True}
    try:
        async with asyncio.timeout(seconds):
            while last["type"] == "http.request" and last.get("more_body", False):
                last = await receive()
                body += last.get("body", b"")
                if len(body) > most:
                    raise BodyRefused(413, rest=last.get("more_body", False))
    except TimeoutError:
        raise BodyRefused(408) from None
    first: list[Message] = [last if last["type"] != "http.request" else {"type": "http.request", "body": bytes(body)}]

    async def replayed() -> Message:
        return first.pop() if first else await receive()

    return replayed


async def answer_unread(response: Response, scope: Scope, receive: Receive, send: Send, *, rest: bool = True) -> None:
    """Answers a request whose body nobody wants, and ends the connection.

    What still comes is thrown away first, so that the client reads the answer instead of a broken connection.
    """
    got = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while rest and got <= DRAINED:
                message = await receive()
                got += len(message.get("body", b""))
                rest = message["type"] == "http.request" and message.get("more_body", False)
    except TimeoutError:
        pass  # It is cut off by the end of the connection.
    response.headers["Connection"] = "close"
    await response(scope, receive, send)
