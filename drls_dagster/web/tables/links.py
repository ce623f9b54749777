"""The addresses of the section's pages.

A table's name is one segment of a path, and a path is decoded before it is split: a slash in a name is written as in a
JSON pointer (RFC 6901), and so is a percent sign, which some proxies decode twice.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from lifecycle.domain.environment import Environment

EXPLORER = "/tables"
OPERATIONS = "/operations"


_ESCAPED = {"~": "~0", "/": "~1", "%": "~2"}
_MEANT = {escaped: sign for sign, escaped in _ESCAPED.items()}


def segment(name: str) -> str:
    return quote("".join(_ESCAPED.get(sign, sign) for sign in name), safe="")


def name_in(text: str) -> str:
    """The name that a decoded segment stands for."""
    return re.sub("~[012]", lambda found: _MEANT[found[0]], text)


def table(name: str, view: str = "", environment: Environment | None = None, **asked: object) -> str:
    """A view of a table; what is empty in `asked` is left out."""
    path = f"{EXPLORER}/{segment(name)}{f'/{view}' if view else ''}"
    return _with(path, {"environment": environment.value if environment else "", **asked})


def explorer(**asked: object) -> str:
    return _with(EXPLORER, asked)


def _with(path: str, asked: dict[str, object]) -> str:
    query = {name: str(value) for name, value in asked.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(query)}" if query else path
