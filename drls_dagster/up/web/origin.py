"""Where a request comes from: the name it was sent to, and the page that sent it (A5)."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import HTTPConnection

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def is_known_host(connection: HTTPConnection, hosts: Collection[str]) -> bool:
    """Whether the request was sent to a name that is ours: not to a foreign one that was made to lead here."""
    return _name(connection.headers.get("host", "")) in {*LOOPBACK, *(host.lower() for host in hosts)}


def is_own_page(connection: HTTPConnection, *, must_say: bool) -> bool:
    """Whether one of our own pages sent this, as far as the browser says it.

    `must_say`: what says nothing is refused; for requests that carry a cookie, which any page can cause.
    """
    origin = connection.headers.get("origin")
    site = connection.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        return origin.partition("://")[2].lower() == connection.headers.get("host", "").lower()
    return site is not None or not must_say


def _name(host: str) -> str:
    """`host` without its port."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name.lower().rstrip(".")
