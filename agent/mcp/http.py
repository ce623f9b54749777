"""The MCP server over streamable HTTP: one address, bearer tokens of the lifecycle, nobody else's pages.

Every request shows its token again, so what is revoked ends at once. A session belongs to the token that opened it.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.mcp.limits import RateLimit
from agent.mcp.office import Office, toolsets_of
from agent.mcp.server import make_server
from agent.tools.callers import Agent, Callers
from agent.tools.errors import ToolError
from drls_dagster.serving.hosts import KnownHosts
from lifecycle.app.kit.origin import is_own_page
from lifecycle.domain.credentials import TokenScope
from lifecycle.errors import Forbidden, LifecycleError, Unauthorized

PATH = "/mcp"
METADATA = "/.well-known/oauth-protected-resource"
MAX_BODY = 4 * 1024 * 1024
MAX_SESSIONS = 1_000
KNOWING_THREADS = 4
TOOLSETS_HEADER = "x-drls-toolsets"
_AGENT, _OWNER = "drls.agent", "drls.owner"


def make_app(callers: Callers, *, hosts: Collection[str] = ()) -> ASGIApp:
    """Answers at /mcp, for requests to a name of this machine or of `hosts`."""
    server = make_server(lambda: Office(callers, lambda request: request.scope[_AGENT], _wanted))
    # Who sent a request, and from where, was settled when it arrives there.
    sessions = StreamableHTTPSessionManager(server, max_request_body_size=MAX_BODY, max_sessions=MAX_SESSIONS)
    given = callers.settings.mcp
    door = Door(sessions.asgi_app, callers, RateLimit(given.requests_per_minute, given.burst))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with sessions.run():
            yield

    routes = [Route(PATH, endpoint=door), *(Route(path, endpoint=_metadata) for path in (METADATA, METADATA + PATH))]
    return KnownHosts(Starlette(routes=routes, lifespan=lifespan), hosts)


class Door:
    """Lets in who shows a good token, as their agent: not too often, and not from another site's page."""

    def __init__(self, app: ASGIApp, callers: Callers, limit: RateLimit) -> None:
        self._app, self._callers, self._limit = app, callers, limit
        self._knowing = anyio.CapacityLimiter(KNOWING_THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        refusal = self._foreign(request) or await self._known(request)
        await (self._app if refusal is None else refusal)(scope, receive, send)

    def _foreign(self, request: Request) -> Response | None:
        if not is_own_page(request):
            return _refused(403, "foreign_page", "this request comes from another site's page")
        try:
            _wanted(request)
        except ToolError as error:
            return _refused(400, "invalid_request", error.message)
        return None

    async def _known(self, request: Request) -> Response | None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        token = token.strip()
        if kind.lower() != "bearer" or not token:
            return _challenge(request, 401, "", "send a token as Authorization: Bearer …; drls token issue makes one")
        owner = hashlib.sha256(token.encode()).hexdigest()
        wait = self._limit.take(owner)
        if wait:
            told = f"this token asks too often; it may ask again in {wait} s"
            return _refused(429, "too_many_requests", told, {"Retry-After": str(wait)})
        try:
            agent = await anyio.to_thread.run_sync(self._callers.agent_of, token, limiter=self._knowing)
        except Unauthorized as error:
            return _challenge(request, 401, "invalid_token", error.message)
        except Forbidden as error:
            return _challenge(request, 403, "insufficient_scope", error.message, scope=TokenScope.READ.value)
        except LifecycleError as error:
            return _refused(error.status, error.code, error.message)
        self._let_in(request, agent, owner)
        return None

    def _let_in(self, request: Request, agent: Agent, owner: str) -> None:
        scopes = [one.value for one in agent.scopes]
        # The sessions compare `client_id`: one session, one token.
        request.scope["user"] = AuthenticatedUser(AccessToken(token="", client_id=owner, scopes=scopes))
        request.scope[_AGENT], request.scope[_OWNER] = agent, owner


def _wanted(request: Request) -> Any:
    """The toolsets that a request names, in its address or in a header."""
    return toolsets_of(request.query_params.get("toolsets") or request.headers.get(TOOLSETS_HEADER, ""))


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers['host']}"


async def _metadata(request: Request) -> Response:
    """RFC 9728. It names no authorization server: `drls token issue` gives the tokens, and no one else does."""
    return JSONResponse(
        {
            "resource": _base(request) + PATH,
            "resource_name": "DRLS",
            "scopes_supported": [TokenScope.READ.value, TokenScope.WRITE.value],
            "bearer_methods_supported": ["header"],
        },
        headers={"Cache-Control": "no-store"},
    )


def _challenge(request: Request, status: int, error: str, told: str, scope: str = "") -> Response:
    parts = [f'resource_metadata="{_base(request)}{METADATA}{PATH}"']
    if error:
        parts += [f'error="{error}"', f'error_description="{_quoted(told)}"']
    if scope:
        parts.append(f'scope="{scope}"')
    return _refused(status, error or "unauthorized", told, {"WWW-Authenticate": f"Bearer {', '.join(parts)}"})


def _quoted(text: str) -> str:
    """As RFC 6750 allows: ASCII without quotes."""
    return text.replace('"', "'").replace("\\", "/").encode("ascii", "replace").decode()


def _refused(status: int, error: str, told: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(
        {"error": error, "error_description": told}, status, {"Cache-Control": "no-store", **(headers or {})}
    )
