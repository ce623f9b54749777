"""Hands requests and WebSockets on to the socket of a notebook, and back what passes.

What serves that socket is under the control of the notebook's code, so nothing that it answers is believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Send
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from drls_dagster.up.web.handing_on import CONNECT_SECONDS, send_on, target_of
from drls_dagster.up.web.notebook_headers import own_place, to_browser, to_notebook

_OPEN_SECONDS = 20.0
_MOST_MESSAGE = 64 * 1024 * 1024
# What a WebSocket makes anew on each of its two connections.
_HANDSHAKE = frozenset(
    {
        *("host", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions"),
        *("sec-websocket-protocol", "origin"),
    }
)


class NotRunning(Exception):
    """Nothing serves the socket."""


async def hand_on(request: Request, body: bytes, place: Path, base: str, send: Send) -> None:
    """The answer of the notebook as it comes. Raises NotRunning."""
    transport = httpx.AsyncHTTPTransport(uds=str(place))
    timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)
    async with httpx.AsyncClient(transport=transport, timeout=timeout, trust_env=False) as client:
        sent = client.build_request(
            request.method, f"http://notebook{target_of(request)}", headers=to_notebook(request), content=body or None
        )
        try:
            answer = await client.send(sent, stream=True)
        except httpx.TransportError:
            raise NotRunning from None
        try:
            await _answer(request, answer, base, send)
        finally:
            await answer.aclose()


async def _answer(request: Request, answer: httpx.Response, base: str, send: Send) -> None:
    headers = to_browser(answer.headers.raw, request, base)
    if answer.has_redirect_location:
        aim = own_place(answer.headers["location"], request.url.path, base)
        if aim is None:
            told = JSONResponse({"detail": "this notebook sends you somewhere else, which is not allowed"}, 502)
            await told(request.scope, request.receive, send)
            return
        headers.append((b"location", aim.encode()))
    await send_on(answer, headers, send)


async def hand_on_socket(
    connection: HTTPConnection, place: Path, base: str, receive: Receive, send: Send, used: Callable[[], None]
) -> None:
    """Messages both ways, until one side ends. `used` hears of each from the browser. Raises NotRunning."""
    asked = [Subprotocol(one) for one in connection.scope.get("subprotocols", ())]
    headers = [(name, value) for name, value in to_notebook(connection) if name not in _HANDSHAKE]
    host = connection.headers.get("host", "")
    try:
        behind = await unix_connect(
            str(place),
            f"ws://{host}{target_of(connection)}",
            additional_headers=headers,
            subprotocols=asked or None,
            compression=None,
            max_size=_MOST_MESSAGE,
            open_timeout=_OPEN_SECONDS,
            user_agent_header=None,
            proxy=None,
        )
    except (OSError, InvalidHandshake, TimeoutError):
        raise NotRunning from None
    async with behind:
        await send({"type": "websocket.accept", "subprotocol": behind.subprotocol})
        ways = [
            asyncio.ensure_future(_from_browser(behind, receive, used)),
            asyncio.ensure_future(_to_browser(behind, send)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in ways:
                one.cancel()
            found = await asyncio.gather(*ways, return_exceptions=True)
    for one in found:
        if isinstance(one, Exception):
            raise one


async def _from_browser(behind: ClientConnection, receive: Receive, used: Callable[[], None]) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await run_in_threadpool(used)
        text = message.get("text")
        try:
            await behind.send(message.get("bytes") or b"" if text is None else text)
        except ConnectionClosed:
            return


async def _to_browser(behind: ClientConnection, send: Send) -> None:
    try:
        async for message in behind:
            kind = "text" if isinstance(message, str) else "bytes"
            await send({"type": "websocket.send", kind: message})
    except ConnectionClosed:
        pass
    code = behind.close_code
    # Codes that stand for no message on the wire cannot be sent (RFC 6455, 7.4.1).
    await send({"type": "websocket.close", "code": 1011 if code in (None, 1005, 1006, 1015) else code})
