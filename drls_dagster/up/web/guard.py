"""The door in front of Dagster: nobody unknown, no foreign page, no change that its visitor may not make (A5)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Protocol

from graphql import GraphQLSchema
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from drls_dagster.up.web.instance import ADMITTED
from drls_dagster.up.web.judging import Change, Judge
from drls_dagster.up.web.narrow import WHY, reads_of
from drls_dagster.up.web.once import HEADER, Claim, Keys, claim_of
from drls_dagster.up.web.operations import (
    Operation,
    OperationType,
    Sent,
    Unreadable,
    read_documents,
    read_operation,
    read_sent,
)
from drls_dagster.up.web.pages import not_for_you
from drls_dagster.up.web.paths import Kind, NotCanonical, canonical_path, kind_of, with_path
from drls_dagster.up.web.stopping import Stop, no, read_body, recognise
from drls_dagster.up.web.subscriptions import Subscriptions
from drls_dagster.up.web.touched import Finder
from drls_dagster.up.web.visitor import Visitor
from lifecycle.app.kit.origin import is_own_page
from lifecycle.errors import Forbidden, LifecycleError

VISITOR = "drls.visitor"
_CLAIM = "drls.claim"
_SAFE = frozenset({"GET", "HEAD"})
_GRAPHQL_NAMES = ("query", "variables", "operationName")


class Dagster(Protocol):
    """Dagster's web app, and what can be looked up in it."""

    @property
    def is_ready(self) -> bool: ...

    @property
    def schema(self) -> GraphQLSchema: ...

    def finder(self) -> Finder: ...

    def launched(self, claim: Claim, is_signed: Callable[[str, str], bool]) -> str | None: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class DagsterGuard:
    """Lets through to `dagster`, which lives under `prefix`, what its visitor may do.

    `look_up` says who somebody is and may block. `open_to_all`: a role on anything is enough to see all of Dagster.
    """

    def __init__(
        self,
        dagster: Dagster,
        prefix: str,
        look_up: Callable[[HTTPConnection], Visitor],
        judge: Judge,
        *,
        open_to_all: bool = False,
    ) -> None:
        self._dagster = dagster
        self._prefix = prefix
        self._look_up = look_up
        self._judge = judge
        self._open_to_all = open_to_all
        self._keys = Keys()

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
        claim: Claim | None = scope.get(_CLAIM)
        if claim is None:
            await self._dagster(scope, receive, _unframed(send))
            return
        async with self._keys.alone(claim.name):
            answer = await self._repeated(claim)
            if answer is not None:
                await answer(scope, receive, send)
            else:
                await self._dagster(scope, receive, _unframed(send))

    async def _repeated(self, claim: Claim) -> Response | None:
        """The answer to a launch that was made before; None for the first one."""
        judge = self._judge
        try:
            found = await run_in_threadpool(
                self._dagster.launched, claim, lambda tag, subject: judge.signed_by(claim.person, tag, subject)
            )
        except LifecycleError as error:
            return no(error.status, error.message)
        return None if found is None else JSONResponse(claim.answered(found))

    async def _admit(self, request: Request) -> tuple[Scope, Receive]:
        try:
            path = canonical_path(request.scope)
        except NotCanonical as error:
            raise Stop(no(400, f"this path is ambiguous: {error}")) from None
        kind = kind_of(path, self._prefix)
        visitor = await recognise(request, self._look_up)
        if not visitor.reads:
            raise Stop(no(403, f"{visitor.name} has no role here; ask an Admin for a grant"))
        carries = any(name in request.query_params for name in _GRAPHQL_NAMES)
        if request.method in _SAFE and not (kind is Kind.GRAPHQL and carries):
            await self._read(request, visitor, kind, path)
            query = b"" if kind is Kind.GRAPHQL else request.scope["query_string"]
            return _forwarded(request.scope, visitor, path, query), request.receive
        if not is_own_page(request, must_say=visitor.by_cookie):
            raise Stop(no(403, "this request comes from another site's page"))
        if request.method != "POST" or kind not in (Kind.GRAPHQL, Kind.REPORT):
            what = "send GraphQL with POST" if kind is Kind.GRAPHQL else (f"{request.method} is not allowed here")
            raise Stop(no(405, what, {"Allow": "POST" if kind is Kind.GRAPHQL else "GET, HEAD"}))
        if not self._dagster.is_ready:
            raise Stop(no(503, "Dagster is starting; try again", {"Retry-After": "2"}))
        body = await read_body(request)
        if kind is Kind.REPORT:
            changes = await self._report(request, visitor, path, body)
            await self._carry(visitor, changes)
            return _forwarded(request.scope, visitor, path, request.scope["query_string"]), _replay(
                body, request.receive
            )
        sent, changes = await self._graphql(request, visitor, body)
        claim = await self._claim(request, visitor, sent)
        await self._carry(visitor, changes, claim)
        scope = _forwarded(request.scope, visitor, path, b"", sent.body)
        return {**scope, _CLAIM: claim}, _replay(sent.body, request.receive)

    async def _claim(self, request: Request, visitor: Visitor, sent: Sent) -> Claim | None:
        """The launch that an Idempotency-Key names; None without one."""
        key = request.headers.get(HEADER)
        if key is None or visitor.actor is None or visitor.actor.person is None:
            return None
        try:
            operation = await run_in_threadpool(read_operation, self._dagster.schema, sent)
            return claim_of(visitor.actor.person, key, operation, sent)
        except Unreadable as error:
            raise Stop(no(400, str(error))) from None

    async def _read(self, request: Request, visitor: Visitor, kind: Kind, path: str) -> None:
        """Stops what somebody may not see who sees some pipelines only."""
        if not self._is_narrow(visitor) or path == f"{self._prefix}/server_info":
            return
        if kind is Kind.RUN_FILE and self._dagster.is_ready:
            run_id = path.removeprefix(self._prefix).split("/")[2:3]
            if run_id and await run_in_threadpool(self._sees_run, visitor, run_id[0]):
                return
        if "text/html" in request.headers.get("accept", ""):
            raise Stop(HTMLResponse(not_for_you(visitor.name), 403))
        raise Stop(no(403, f"this {WHY}"))

    async def _graphql(self, request: Request, visitor: Visitor, body: bytes) -> tuple[Sent, list[Change]]:
        try:
            sent = read_sent(request.headers.get("content-type", "").lower(), body)
            if not read_documents([sent.query]).changes and not self._is_narrow(visitor):
                return sent, []
            operation = await run_in_threadpool(read_operation, self._dagster.schema, sent)
        except Unreadable as error:
            raise Stop(no(400, str(error))) from None
        return sent, await self._allowed(visitor, operation)

    async def _allowed(self, visitor: Visitor, operation: Operation) -> list[Change]:
        try:
            return await run_in_threadpool(self._judged, visitor, operation)
        except LifecycleError as error:
            raise Stop(no(error.status, error.message)) from None

    def _judged(self, visitor: Visitor, operation: Operation) -> list[Change]:
        find = self._dagster.finder()
        if self._is_narrow(visitor):
            for touched in reads_of(self._dagster.schema, operation, find):
                if not self._judge.sees(visitor, touched):
                    raise Forbidden(f"this {WHY}")
        if operation.kind is not OperationType.MUTATION:
            return []
        return self._judge.mutations(visitor, operation.fields, find)

    async def _report(self, request: Request, visitor: Visitor, path: str, body: bytes) -> list[Change]:
        """An event that somebody reports about an asset, which only the path may name."""
        route, *key = path.removeprefix(f"{self._prefix}/").split("/")
        try:
            said = json.loads(body) if body else {}
        except (ValueError, RecursionError):
            raise Stop(no(400, "the body is not valid JSON")) from None
        if not key or not isinstance(said, dict) or "asset_key" in said or "asset_key" in request.query_params:
            raise Stop(no(400, f"name the asset in the path: {self._prefix}/{route}/…"))
        try:
            return [await run_in_threadpool(lambda: self._judge.report(visitor, route, key, self._dagster.finder()))]
        except LifecycleError as error:
            raise Stop(no(error.status, error.message)) from None

    async def _carry(self, visitor: Visitor, changes: Sequence[Change], claim: Claim | None = None) -> None:
        """Notes the changes, and lets what they launch carry their visitor's name, and the key of the launch."""
        if changes:
            await run_in_threadpool(self._judge.note, visitor, changes)
            ADMITTED.set(self._judge.admitted(visitor, changes, claim))

    def _is_narrow(self, visitor: Visitor) -> bool:
        return visitor.wide is None and not self._open_to_all

    def _sees_run(self, visitor: Visitor, run_id: str) -> bool:
        return self._judge.sees(visitor, self._dagster.finder().run(run_id))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Subscriptions only: mutations come as POST, where they are judged."""
        connection = HTTPConnection(scope)
        try:
            path = canonical_path(scope)
            if kind_of(path, self._prefix) is not Kind.GRAPHQL:
                raise NotCanonical("there is nothing to subscribe to")
            visitor = await self._connected(connection)
        except (Stop, NotCanonical):
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        again = Subscriptions(receive, send, lambda: self._connected(connection), self._may_subscribe)
        await self._dagster(_forwarded(scope, visitor, path, b""), again.receive, again.send)

    async def _connected(self, connection: HTTPConnection) -> Visitor:
        """The visitor of a connection, as they are by now. Raises Stop."""
        visitor = await recognise(connection, self._look_up)
        if not visitor.reads or not is_own_page(connection, must_say=visitor.by_cookie):
            raise Stop(no(403, "this connection comes from another site's page"))
        return visitor

    async def _may_subscribe(self, visitor: Visitor, sent: Sent) -> None:
        """Raises Unreadable for anything but a subscription, Stop for one that the visitor may not see."""
        if read_documents([sent.query]).kinds != {OperationType.SUBSCRIPTION}:
            raise Unreadable("only subscriptions")
        if self._is_narrow(visitor):
            await self._allowed(visitor, read_operation(self._dagster.schema, sent))


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


_OWN_HEADERS = frozenset({b"cookie", b"authorization"})
_BODY_HEADERS = frozenset({b"content-type", b"content-length", b"content-encoding", b"transfer-encoding"})


def _forwarded(scope: Scope, visitor: Visitor, path: str, query: bytes, body: bytes | None = None) -> Scope:
    """What Dagster gets to see: nobody's credentials, and of a GraphQL request what was judged."""
    dropped = _OWN_HEADERS if body is None else _OWN_HEADERS | _BODY_HEADERS
    headers = [(name, value) for name, value in scope["headers"] if name not in dropped]
    if body is not None:
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    # Dagster's own pages are under the prefix with a slash.
    is_root = path.count("/") == 1
    return {
        **with_path(scope, f"{path}/" if is_root else path),
        "headers": headers,
        "query_string": query,
        VISITOR: visitor,
    }


def _unframed(send: Send) -> Send:
    """Only our own pages may frame Dagster's: to a cookie, another port of this machine is the same site."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.append("Content-Security-Policy", "frame-ancestors 'self'")
            headers["X-Frame-Options"] = "SAMEORIGIN"
        await send(message)

    return with_headers
