"""The door in front of people's notebooks: a browser's session, its own pages, and nobody but the notebook's person.

The session is looked at for every request and, while a connection stays open, every few seconds.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from drls_dagster.notebooks.places import used_file, web_socket
from drls_dagster.up.web.notebook_proxy import NotRunning, hand_on, hand_on_socket
from drls_dagster.up.web.pages import no_notebook
from drls_dagster.up.web.paths import NotCanonical, canonical_path
from drls_dagster.up.web.stopping import Stop, read_body, recognise
from drls_dagster.up.web.visitor import Visitor
from lifecycle.app.kit.origin import is_own_page
from lifecycle.domain.notebooks import notebook_path
from lifecycle.domain.roles import Role

PREFIX = "/notebook/"
_LOOK_SECONDS = 3.0
_MOST_BODY = 16 * 1024 * 1024
_SAFE = frozenset({"GET", "HEAD"})
_PERSON = re.compile(r"^/notebook/([^/]+)(?:/|$)")
_POLICY_VIOLATION = 1008


class NotebookDoor:
    """`sockets` is the folder that the keeper of notebooks uses. `look_up` says who somebody is, and may block."""

    def __init__(self, sockets: Path, look_up: Callable[[HTTPConnection], Visitor]) -> None:
        self._sockets, self._look_up = sockets, look_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            person, base = await self._admit(request)
            body = await read_body(request, _MOST_BODY)
            if request.method not in _SAFE:
                await run_in_threadpool(self._note_use, person)
            work = hand_on(request, body, web_socket(self._sockets, person), base, send)
            await self._while_admitted(request, work)
        except Stop as stop:
            await stop.response(scope, receive, send)
        except NotRunning:
            await _not_running(request)(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        await receive()  # websocket.connect
        try:
            person, base = await self._admit(connection)
            place = web_socket(self._sockets, person)

            def used() -> None:
                self._note_use(person)

            await self._while_admitted(connection, hand_on_socket(connection, place, base, receive, send, used))
        except (Stop, NotRunning):
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _admit(self, connection: HTTPConnection) -> tuple[int, str]:
        """Whose notebook is asked for, by number, and the path of its pages. Raises Stop.

        Whoever asks for another's hears the same, whether there is one or not.
        """
        try:
            canonical = canonical_path(connection.scope)
        except NotCanonical as error:
            raise Stop(_no(400, f"this path is ambiguous: {error}")) from None
        changes = connection.scope["type"] == "websocket" or connection.scope["method"] not in _SAFE
        if not _is_own(connection, changes=changes):
            raise Stop(_no(403, "this request comes from another site's page"))
        visitor = await recognise(connection, self._look_up, _no)
        actor = visitor.actor
        named = _PERSON.match(canonical)
        if actor is None or actor.person is None or visitor.agent or not visitor.by_cookie:
            raise Stop(_no(403, "a notebook is for its person's browser; open /sign-in there"))
        if named is None or named[1] != actor.name:
            raise Stop(_no(403, f"this is not your notebook; yours is {notebook_path(actor.name)}"))
        if visitor.highest is None or not visitor.highest.includes(Role.DATA_ENGINEER):
            raise Stop(_no(403, f"a notebook needs the role {Role.DATA_ENGINEER.value}; ask an Admin for a grant"))
        return actor.person, notebook_path(actor.name)

    async def _while_admitted(self, connection: HTTPConnection, work: Coroutine[None, None, None]) -> None:
        """Does the work, and ends it when its visitor may no longer have it: signed out, expired or disabled."""
        working = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({working}, timeout=_LOOK_SECONDS))[0]:
                await self._admit(connection)
        except Stop:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            if connection.scope["type"] == "websocket":
                raise
            return  # the answer has begun: it ends here
        finally:
            if not working.done():
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
        working.result()

    def _note_use(self, person: int) -> None:
        file = used_file(self._sockets, person)
        if file.exists():  # the keeper makes it: a notebook that has ended stays that way
            file.touch()


def _is_own(connection: HTTPConnection, *, changes: bool) -> bool:
    """One of our own pages, or an address that somebody typed; never a page from elsewhere, not even to look."""
    if changes or connection.headers.get("sec-fetch-site") not in (None, "none"):
        return is_own_page(connection, must_say=changes)
    return connection.headers.get("origin") is None or is_own_page(connection)


def _not_running(request: Request) -> Response:
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(no_notebook(), 404, {"Cache-Control": "no-store"})
    return _no(404, "your notebook does not run; start it: drls notebook start")


def _no(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status, {"Cache-Control": "no-store"})
