"""What the doors of `drls up` share: a request that ends early with an answer, who sent it, and its body."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from drls_dagster.up.web.visitor import Visitor
from lifecycle.errors import LifecycleError, Unauthorized

MAX_BODY = 4 * 1024 * 1024
BODY_SECONDS = 30.0


class Stop(Exception):
    """The request ends here, with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def no(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    # Dagster's UI shows what is under "errors".
    return JSONResponse({"detail": detail, "errors": [{"message": detail}]}, status, headers)


async def recognise(
    connection: HTTPConnection,
    look_up: Callable[[HTTPConnection], Visitor],
    refuse: Callable[[int, str], Response] = no,
) -> Visitor:
    """Who sent this, by `look_up`, which may block. Stops for nobody known: a browser's page leads to the sign-in."""
    try:
        return await run_in_threadpool(look_up, connection)
    except Unauthorized as error:
        page = connection.scope["type"] == "http" and connection.scope["method"] == "GET"
        if page and "text/html" in connection.headers.get("accept", ""):
            back = quote(str(connection.url.path), safe="")
            raise Stop(RedirectResponse(f"/sign-in?back={back}", 303)) from None
        raise Stop(refuse(401, f"{error.message}; open /sign-in")) from None
    except LifecycleError as error:
        raise Stop(refuse(error.status, error.message)) from None


async def read_body(request: Request, most: int = MAX_BODY) -> bytes:
    """The whole body. Stops with 413 when it is longer than `most`, 408 when it takes too long."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise Stop(no(413, f"more than {most // 1024:,} KB"))
    except TimeoutError:
        raise Stop(no(408, "the request did not arrive in time")) from None
    return bytes(body)
