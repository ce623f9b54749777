"""The addresses of the section's pages.

A table's name is one segment of a path. A path is decoded before it is split, so a slash in a name is encoded twice.
"""

from __future__ import annotations

from urllib.parse import quote, unquote, urlencode

from lifecycle.domain.environment import Environment

EXPLORER = "/tables"


def segment(name: str) -> str:
    return quote(name.replace("%", "%25").replace("/", "%2F"), safe="")


def name_in(text: str) -> str:
    """The name that a decoded segment stands for."""
    return unquote(text)


def table(name: str, view: str = "", environment: Environment | None = None, **asked: object) -> str:
    """A view of a table; what is empty in `asked` is left out."""
    path = f"{EXPLORER}/{segment(name)}{f'/{view}' if view else ''}"
    return _with(path, {"environment": environment.value if environment else "", **asked})


def explorer(**asked: object) -> str:
    return _with(EXPLORER, asked)


def _with(path: str, asked: dict[str, object]) -> str:
    query = {name: str(value) for name, value in asked.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(query)}" if query else path
