"""The one spelling of a path that Dagster gets to see (A5).

Dagster routes by regular expressions that also match `/graphql` with a line break behind it, and a mount that loses one
slash of two. So a path that could be read in two ways is refused, and what is handed on is the reading that was judged.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum, auto
from urllib.parse import quote, unquote_to_bytes

from starlette.types import Scope

_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
# What needs no escape (RFC 3986), and what an escape would hide: separators, and the sign of a second escape.
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/\\")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class NotCanonical(ValueError):
    """A path that could be read in two ways."""


class Kind(Enum):
    """What is behind a path of Dagster's web server."""

    GRAPHQL = auto()
    REPORT = auto()  # stores an event that somebody reports
    RUN_FILE = auto()  # what a run has written, and its events
    PAGE = auto()  # the app itself: pages, scripts, its version


# By the first segment of a route; every other path is a page. A test compares this with Dagster's own routes.
ROUTES = {
    "graphql": Kind.GRAPHQL,
    "report_asset_materialization": Kind.REPORT,
    "report_asset_check": Kind.REPORT,
    "report_asset_observation": Kind.REPORT,
    "logs": Kind.RUN_FILE,
    "download_debug": Kind.RUN_FILE,
    "notebook": Kind.RUN_FILE,
    "dagit": Kind.RUN_FILE,
}


def kind_of(path: str, prefix: str) -> Kind:
    """What is behind a canonical path."""
    first, *more = path.removeprefix(prefix).lstrip("/").split("/")
    kind = ROUTES.get(first, Kind.PAGE)
    return Kind.PAGE if kind is Kind.GRAPHQL and more else kind


def canonical_path(scope: Scope) -> str:
    """The path, without a slash at its end. Raises NotCanonical, with the reason, for any other spelling."""
    path: str = scope["path"]
    raw = scope.get("raw_path")
    _check_spelling(path, quote(path).encode() if raw is None else bytes(raw))
    if any(unicodedata.category(sign) in _UNSEEN for sign in path):
        raise NotCanonical("it has a control character")
    if "\\" in path:
        raise NotCanonical("it has a backslash")
    if not path.startswith("/"):
        raise NotCanonical("it does not begin with a slash")
    segments = path.removesuffix("/").split("/")[1:]
    if not all(segments):
        raise NotCanonical("it has an empty segment")
    if any(segment in (".", "..") for segment in segments):
        raise NotCanonical("it has a dot segment")
    return "/" + "/".join(segments)


def with_path(scope: Scope, path: str) -> Scope:
    """`scope` as a request for this path, spelled in the one way."""
    return {**scope, "path": path, "raw_path": quote(path).encode(), "root_path": ""}


def _check_spelling(path: str, raw: bytes) -> None:
    try:
        text = raw.decode("ascii")
        decoded = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise NotCanonical("it is not UTF-8") from None
    if decoded != path:
        raise NotCanonical("its escapes are ambiguous")
    if _ESCAPE.search(text):
        raise NotCanonical("it has an incomplete escape")
    if any(chr(int(found, 16)) in _PLAIN for found in _ESCAPED.findall(text)):
        raise NotCanonical("it escapes characters that need no escape")
    if _ESCAPED.search(path):
        raise NotCanonical("it is escaped twice")
