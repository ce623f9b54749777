"""Where a request comes from: the name it was sent to, and the page that sent it (A5)."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from drls_dagster.serving.hosts import LOOPBACK, is_known_host

__all__ = ["LOOPBACK", "is_known_host", "is_own_page"]


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
