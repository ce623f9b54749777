"""Texts for everyone who may see a run: without this server's folders, and errors without the data in them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from drls_dagster.settings import Settings

_TRACE = re.compile(
    r"Traceback \(most recent call last\):\n.*?(?=\n\s*(?:SQLSTATE|JVM stacktrace|at \w+\.)|\Z)", re.DOTALL
)


def without_places(text: str, settings: Settings) -> str:
    """`text` with `landing`, `warehouse`, `staging` and `DRLS_HOME` for the paths of these folders."""
    for name, path in _places(settings):
        for spelled in dict.fromkeys((path, quote(path))):
            if spelled in text:
                text = re.sub(rf"(?:file:(?://)?)?{re.escape(spelled)}(?![\w.-])", name, text)
    return text


def trace_of(error: BaseException) -> str | None:
    """What Python said of an error in a pipeline's own function that Spark called; None for other errors."""
    found = _TRACE.search(str(error)) if type(error).__name__ == "PythonException" else None
    return found[0] if found else None


def _places(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each folder's name and path. The longest first: most are in the home."""
    home = str(settings.home)
    given = [(settings.landing_for(one), "landing") for one in Environment]
    given += [(settings.catalog.warehouse or f"{home}/warehouse", "warehouse"), (settings.staging, "staging")]
    given.append((home, "DRLS_HOME"))
    named: dict[str, str] = {}
    for place, name in given:
        path = os.path.expanduser(place.removeprefix("file://")).rstrip("/")
        if path.startswith("/"):
            named.setdefault(path, name)
            named.setdefault(os.path.realpath(path), name)
    yield from ((named[path], path) for path in sorted(named, key=len, reverse=True))
