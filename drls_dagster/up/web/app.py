"""One app: the approvals app, Dagster's UI behind its guard, and pushes."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from drls_dagster.serving.hosts import is_known_host
from drls_dagster.up.web.behind import Behind
from drls_dagster.up.web.guard import DagsterGuard
from drls_dagster.up.web.judging import Judge
from drls_dagster.up.web.notebook_door import PREFIX as NOTEBOOK_PREFIX
from drls_dagster.up.web.notebook_door import NotebookDoor
from drls_dagster.up.web.reloads import Reloads
from drls_dagster.up.web.sections import SECTIONS
from drls_dagster.up.web.visitor import Visitor, visitor_of
from drls_dagster.up.web.workspace import PREFIX, DagsterUI
from lifecycle.app.account.openid import OpenIdSettings
from lifecycle.app.kit.parts import DagsterAt
from lifecycle.app.site import create_site
from lifecycle.domain.environment import Environment
from lifecycle.usecases.automation import deployed_digests
from lifecycle.usecases.context import Context

# Where clients find the MCP server, and what they read of it before they have a token (RFC 9728).
_METADATA = "/.well-known/oauth-protected-resource"
_MCP_PATHS = frozenset({"/mcp", _METADATA, f"{_METADATA}/mcp"})


def make_app(
    ctx: Context,
    *,
    token: str,
    workspace_file: Path,
    hosts: tuple[str, ...] = (),
    dagster_for_all: bool = False,
    reloaded: Callable[[Environment], object] = lambda _: None,
    openid: OpenIdSettings | None = None,
    mcp: Path | None = None,
    notebooks: Path | None = None,
    chats: object | None = None,
) -> ASGIApp:
    """The app of `drls up`; `token` is what this home's own processes show, `reloaded` hears of every reload.

    `dagster_for_all`: a role on one pipeline is enough to see all of Dagster. `mcp`: the socket of the MCP server.
    `notebooks`: the folder with the sockets of people's notebooks. `chats`: what the section of chats needs.
    """

    def look_up(one: HTTPConnection) -> Visitor:
        return visitor_of(ctx, token, one)

    dagster = DagsterUI(workspace_file)
    reloads = Reloads(
        dagster.reload, lambda name: _wanted(ctx, Environment(name)), lambda name: reloaded(Environment(name))
    )
    guarded = DagsterGuard(dagster, PREFIX, look_up, Judge(ctx), open_to_all=dagster_for_all)
    site = create_site(ctx, SECTIONS, connected=(DagsterAt(PREFIX), openid, chats))
    behind = Behind("The MCP server", mcp, look_up) if mcp is not None else None
    open_notebooks = NotebookDoor(notebooks, look_up) if notebooks is not None else None
    return _Door(site, guarded, _pushes(token, dagster, reloads), dagster, reloads, hosts, behind, open_notebooks)


class _Door:
    """Sends each request where it belongs, once it was sent to a name that is ours."""

    def __init__(
        self,
        site: ASGIApp,
        dagster: ASGIApp,
        pushes: ASGIApp,
        workspace: DagsterUI,
        reloads: Reloads,
        hosts: tuple[str, ...],
        mcp: Behind | None,
        notebooks: NotebookDoor | None,
    ) -> None:
        self._site, self._dagster, self._pushes, self._mcp = site, dagster, pushes, mcp
        self._workspace, self._reloads = workspace, reloads
        self._hosts = hosts
        self._notebooks = notebooks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if not is_known_host(HTTPConnection(scope), self._hosts):
            await _refuse(scope, receive, send)
            return
        path = scope["path"]
        if path == PREFIX or path.startswith(f"{PREFIX}/"):
            await self._dagster(scope, receive, send)
        elif path.startswith("/push/"):
            await self._pushes(scope, receive, send)
        elif self._notebooks is not None and path.startswith(NOTEBOOK_PREFIX):
            await self._notebooks(scope, receive, send)
        elif self._mcp is not None and path in _MCP_PATHS:
            await self._mcp(scope, receive, send)
        else:
            await self._site(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._workspace.start()
            else:
                self._reloads.close()
                if self._mcp is not None:
                    await self._mcp.close()
                self._workspace.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    told = "This DRLS does not serve this host name; add it to the setting web.hosts."
    await PlainTextResponse(told, 421)(scope, receive, send)


def _pushes(token: str, dagster: DagsterUI, reloads: Reloads) -> Starlette:
    async def push(request: Request) -> Response:
        shown = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(shown.encode(), token.encode()):
            return JSONResponse({"detail": "this is for the processes of this DRLS_HOME"}, 401)
        environment = request.path_params["environment"]
        if environment not in {one.value for one in Environment}:
            return JSONResponse({"detail": f"there is no environment {environment}"}, 404)
        if not dagster.is_ready:
            return JSONResponse({"detail": "Dagster is starting"}, 503)
        reloads.ask(environment)
        return JSONResponse({"reload": environment}, 202)

    return Starlette(routes=[Route("/push/reload/{environment}", push, methods=["POST"])])


def _wanted(ctx: Context, environment: Environment) -> object:
    """What a location is built from: versions, and the policies that say whether their schedules run."""
    with ctx.store.read() as view:
        policies = [one.id for one in view.policies.newest() if one.environment is environment]
        return deployed_digests(view, environment), sorted(policies)
