"""Whether one of our own pages sent a request: a foreign page may change nothing, whatever it sends along (A5)."""

from __future__ import annotations

from starlette.requests import HTTPConnection, Request

from lifecycle.errors import Forbidden

SAFE = {"GET", "HEAD", "OPTIONS"}


def check_origin(request: Request) -> None:
    """Raises Forbidden for a change that another site's page sends."""
    if request.method not in SAFE and not is_own_page(request):
        raise Forbidden("this request comes from another site's page")


def is_own_page(connection: HTTPConnection, *, must_say: bool = False) -> bool:
    """Whether one of our own pages sent this, as far as the browser says it.

    `must_say`: what says nothing is refused; for requests that carry a cookie and that any page can cause.
    """
    origin = connection.headers.get("origin")
    site = connection.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        return origin.split("://", 1)[-1].lower() == connection.headers.get("host", "").lower()
    return site is not None or not must_say
