"""The names that a server answers to: a foreign name that was made to lead here (DNS rebinding) is refused."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_REFUSED = "This DRLS does not serve this host name; add it to the setting web.hosts."


def is_known_host(connection: HTTPConnection, hosts: Collection[str]) -> bool:
    """Whether the request was sent to a name that is ours: not to a foreign one that was made to lead here."""
    return _name(connection.headers.get("host", "")) in {*LOOPBACK, *(host.lower() for host in hosts)}


def host_of_url(url: str) -> str:
    """The name in an address, as a Host header has it."""
    return _name(urlsplit(url).netloc.rpartition("@")[2])


class KnownHosts:
    """Answers 421 to what was sent to another name than `hosts` and those of this machine."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_known_host(HTTPConnection(scope), self._hosts):
            headers = {"Cache-Control": "no-store", "Connection": "close"}
            await PlainTextResponse(_REFUSED, 421, headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _name(host: str) -> str:
    """`host` without its port."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name.lower().rstrip(".")
