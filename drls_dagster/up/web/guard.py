"""The door in front of Dagster's UI: nobody unknown, no foreign page, no change by who may only read (A5)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from drls_dagster.up.web.operations import Operations, OperationType, Unreadable, operations_of, read_documents
from drls_dagster.up.web.origin import is_own_page
from drls_dagster.up.web.visitor import Visitor
from lifecycle.errors import LifecycleError, Unauthorized

MAX_BODY = 4 * 1024 * 1024
BODY_SECONDS = 30.0
MAY_WRITE = "drls.may_write"
_SAFE = frozenset({"GET", "HEAD"})
_LOG = logging.getLogger(__name__)


class Stop(Exception):
    """The request ends here, with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class DagsterGuard:
    """Lets through to `app`, which lives under `prefix`, what its visitor may do.

    `look_up` says who somebody is and may block; `note` hears of every change that a person makes.
    """

    def __init__(
        self,
        app: ASGIApp,
        prefix: str,
        look_up: Callable[[HTTPConnection], Visitor],
        note: Callable[[Visitor, tuple[str, ...]], None],
    ) -> None:
        self._app = app
        self._graphql = f"{prefix}/graphql"
        self._look_up = look_up
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        try:
            scope, receive = await self._admit(Request(scope, receive))
        except Stop as stop:
            await stop.response(scope, receive, send)
            return
        except ClientDisconnect:
            return
        await self._app(scope, receive, _unframed(send))

    async def _admit(self, request: Request) -> tuple[Scope, Receive]:
        visitor = await self._visitor(request)
        if not visitor.reads:
            raise Stop(_no(403, f"{visitor.name} has no role here; ask an Admin for a grant"))
        is_graphql = request.scope["path"].rstrip("/") == self._graphql
        if request.method in _SAFE and not (is_graphql and "query" in request.query_params):
            return _forwarded(request.scope, visitor), request.receive
        if not is_own_page(request, must_say=visitor.by_cookie):
            raise Stop(_no(403, "this request comes from another site's page"))
        body = await _body(request)
        changes: tuple[str, ...] = ()
        if is_graphql:
            changes = _changes(request, _read(request, body))
        elif request.method not in _SAFE:
            changes = (f"{request.method} {request.scope['path']}",)
        if changes:
            if not visitor.writes:
                raise Stop(_no(403, f"{changes[0]} needs the role DataEngineer; ask an Admin for a grant"))
            await run_in_threadpool(self._note, visitor, changes)
        return _forwarded(request.scope, visitor), _replay(body, request.receive)

    async def _visitor(self, connection: HTTPConnection) -> Visitor:
        try:
            return await run_in_threadpool(self._look_up, connection)
        except Unauthorized as error:
            page = connection.scope["type"] == "http" and connection.scope["method"] == "GET"
            if page and "text/html" in connection.headers.get("accept", ""):
                back = quote(str(connection.url.path), safe="")
                raise Stop(RedirectResponse(f"/sign-in?back={back}", 303)) from None
            raise Stop(_no(401, f"{error.message}; open /sign-in")) from None
        except LifecycleError as error:
            raise Stop(_no(error.status, error.message)) from None

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Subscriptions only: mutations come as POST, where they are seen."""
        connection = HTTPConnection(scope)
        try:
            visitor = await self._visitor(connection)
            if not visitor.reads or not is_own_page(connection, must_say=visitor.by_cookie):
                raise Stop(_no(403, "this connection comes from another site's page"))
        except Stop:
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return

        async def checked() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and not _is_subscription(message):
                await send({"type": "websocket.close", "code": 1008, "reason": "only subscriptions"})
                return {"type": "websocket.disconnect", "code": 1008}
            return message

        await self._app(_forwarded(scope, visitor), checked, send)


def _read(request: Request, body: bytes) -> Operations:
    try:
        return operations_of(request.query_params, request.headers.get("content-type", "").lower(), body)
    except Unreadable as error:
        raise Stop(_no(400, str(error))) from None


def _changes(request: Request, operations: Operations) -> tuple[str, ...]:
    if operations.changes and request.method in _SAFE:
        raise Stop(_no(405, "a mutation is sent with POST", {"Allow": "POST"}))
    return (operations.mutations or ("mutation",)) if operations.changes else ()


def _is_subscription(message: Message) -> bool:
    """Whether this is a message of the protocol and, where it starts an operation, a subscription."""
    try:
        sent = json.loads(message.get("text") or message.get("bytes") or b"")
        if not isinstance(sent, dict) or "payload" not in sent or sent.get("type") != "start":
            return isinstance(sent, dict) and sent.get("type") != "start"
        query = sent["payload"]["query"]
        return isinstance(query, str) and read_documents([query]).kinds == {OperationType.SUBSCRIPTION}
    except (ValueError, KeyError, TypeError):
        return False


async def _body(request: Request) -> bytes:
    """The whole body. Stops with 413 when it is too long, 408 when it takes too long."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise Stop(_no(413, f"more than {MAX_BODY // 1024 // 1024} MB"))
    except TimeoutError:
        raise Stop(_no(408, "the request did not arrive in time")) from None
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _forwarded(scope: Scope, visitor: Visitor) -> Scope:
    """What Dagster gets to see: nobody's credentials."""
    headers = [(name, value) for name, value in scope["headers"] if name not in (b"cookie", b"authorization")]
    return {**scope, "headers": headers, MAY_WRITE: visitor.writes}


def _unframed(send: Send) -> Send:
    """Only our own pages may frame Dagster's: to a cookie, another port of this machine is the same site."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.append("Content-Security-Policy", "frame-ancestors 'self'")
            headers["X-Frame-Options"] = "SAMEORIGIN"
        await send(message)

    return with_headers


def _no(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    # Dagster's UI shows what stands under "errors".
    return JSONResponse({"detail": detail, "errors": [{"message": detail}]}, status, headers)
