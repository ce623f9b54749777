"""What a notebook's pages may do in a browser, and which headers pass between browser and notebook.

The code of a notebook decides what its pages show and what scripts they run, and they share their origin with the
approvals app. So every answer carries a policy that lets such a page reach its own notebook and nothing else: no
request, frame, form, worker or window reaches the app, and none another site.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote, urljoin, urlsplit

from starlette.requests import HTTPConnection

from drls_dagster.up.web.handing_on import HOP, OURS

# Of the notebook's own headers, only these reach the browser: no cookie, no policy, no wider scope of a worker.
_PASSED = frozenset(
    {
        *("content-type", "content-length", "content-encoding", "content-disposition", "content-range"),
        *("accept-ranges", "cache-control", "etag", "last-modified", "vary", "retry-after"),
    }
)
# Of the browser's, these stay here: who somebody is, and what counts for one hop only.
_KEPT = HOP | OURS | {"authorization"}
_SANDBOX = "allow-scripts allow-same-origin allow-forms allow-modals allow-downloads"


def policy(connection: HTTPConnection, base: str) -> str:
    """The Content-Security-Policy of pages below the path `base`, which ends with a slash."""
    host = connection.headers.get("host", "")
    secure = connection.url.scheme in {"https", "wss"}
    own = f"{'https' if secure else 'http'}://{host}{base}"
    socket = f"{'wss' if secure else 'ws'}://{host}{base}"
    return "; ".join(
        (
            "default-src 'none'",
            # Without allow-popups and allow-top-navigation: a window with the app in it could be driven by a script.
            f"sandbox {_SANDBOX}",
            f"script-src {own} 'unsafe-inline' 'unsafe-eval' blob:",
            f"style-src {own} 'unsafe-inline'",
            f"img-src {own} data: blob:",
            f"media-src {own} data: blob:",
            f"font-src {own} data:",
            f"connect-src {own} {socket} data: blob:",
            f"worker-src {own} blob:",
            f"manifest-src {own}",
            f"form-action {own}",
            f"base-uri {own}",
            "frame-src 'none'",
            "frame-ancestors 'self'",
        )
    )


_Raw = tuple[bytes, bytes]


def to_browser(headers: Iterable[_Raw], connection: HTTPConnection, base: str) -> list[_Raw]:
    """The headers of an answer: those that pass, and those that every page of a notebook has."""
    found = [(name.lower(), value) for name, value in headers if name.lower().decode("latin-1") in _PASSED]
    said = {
        "content-security-policy": policy(connection, base),
        "x-frame-options": "SAMEORIGIN",
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    return [*found, *((name.encode(), value.encode()) for name, value in said.items())]


def to_notebook(connection: HTTPConnection) -> list[tuple[str, str]]:
    """The headers of a request, without anything that says who somebody is."""
    return [(name, value) for name, value in connection.headers.items() if name not in _KEPT]


def own_place(location: str, path: str, base: str) -> str | None:
    """Where a redirect leads, as a path; None where that is not below `base`.

    A policy does not look at the path that a redirect leads to. An address with a host is refused, whoever's it is.
    """
    aim = urlsplit(urljoin(path, location))
    if aim.scheme or aim.netloc or "\\" in location or not aim.path.startswith(base):
        return None
    # urljoin has resolved dots, but for those that are escaped.
    if any(unquote(part) in (".", "..") for part in aim.path.split("/")):
        return None
    return f"{aim.path}{'?' if aim.query else ''}{aim.query}"
