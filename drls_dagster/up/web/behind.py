"""Hands requests on to a process of this home that serves HTTP on a Unix socket, and its answers back as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from drls_dagster.up.web.handing_on import CONNECT_SECONDS, HOP, OURS, send_on, target_of
from drls_dagster.up.web.stopping import MAX_BODY, Stop, read_body
from lifecycle.app.kit.bodies import SMALL
from lifecycle.errors import LifecycleError


class Behind:
    """`name` is what messages call it. Cookies stay here: it knows tokens only.

    `look_up` says who somebody is, and may block: of nobody known, no more than 64 KB is read.
    """

    def __init__(self, name: str, place: Path, look_up: Callable[[HTTPConnection], object]) -> None:
        self._name, self._look_up = name, look_up
        transport = httpx.AsyncHTTPTransport(uds=str(place), limits=httpx.Limits(max_connections=None))
        self._client = httpx.AsyncClient(
            # An answer may take as long as a run does.
            transport=transport,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            trust_env=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope, receive)
        try:
            body = await self._body(request)
        except Stop as stop:
            await stop.response(scope, receive, send)
            return
        except ClientDisconnect:
            return
        # Whoever goes away is followed: the process behind hears of it, and stops.
        answering = asyncio.ensure_future(self._answer(request, body, send))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not answering.done():
                answering.cancel()
            await asyncio.gather(answering, leaving, return_exceptions=True)
        if answering.done() and not answering.cancelled():
            answering.result()

    async def _body(self, request: Request) -> bytes:
        """What is handed on: nothing of a long body that somebody unknown sends, so that they hear who they must be."""
        length = request.headers.get("content-length", "0")
        short = "transfer-encoding" not in request.headers and length.isdecimal() and int(length) <= SMALL
        if not short:
            try:
                await run_in_threadpool(self._look_up, request)
            except LifecycleError:
                return b""
        return await read_body(request, SMALL if short else MAX_BODY)

    async def close(self) -> None:
        await self._client.aclose()

    async def _answer(self, request: Request, body: bytes, send: Send) -> None:
        sent = self._client.build_request(
            request.method,
            f"http://localhost{target_of(request)}",
            headers=_headers(request),
            content=body or None,
        )
        try:
            answer = await self._client.send(sent, stream=True)
        except httpx.TransportError:
            told = Response() if request.method == "HEAD" else JSONResponse({"detail": f"{self._name} is starting"})
            told.status_code = 503
            told.headers["Retry-After"] = "2"
            await told(request.scope, request.receive, send)
            return
        try:
            headers = [(name.lower(), value) for name, value in answer.headers.raw if name.lower().decode() not in HOP]
            await send_on(answer, headers, send)
        finally:
            await answer.aclose()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _headers(request: Request) -> list[tuple[str, str]]:
    """Host stays as it came: that is the address that clients know."""
    found = [(name, value) for name, value in request.headers.items() if name not in HOP | OURS]
    client = request.client.host if request.client else ""
    return [*found, ("x-forwarded-for", client), ("x-forwarded-proto", request.url.scheme)]
