"""What tools call things: names, times and addresses, and what they say of a name that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime

from agent.tools.call import ToolCall
from agent.tools.errors import ToolError
from agent.tools.paging import short
from lifecycle.errors import Forbidden, NotFound

MOST_LINES = 40


def when(moment: datetime) -> str:
    """A time in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def link(call: ToolCall, *parts: object) -> str:
    """Where people open this in the app."""
    return "/".join([call.settings.app_url.rstrip("/"), *map(str, parts)])


def lines(found: Iterable[object], *, most: int = MOST_LINES, width: int = 200) -> tuple[str, ...]:
    """A line each, short, and how many more there are. Empty ones are left out."""
    every = [short(text, width) for text in map(str, found) if text]
    return (*every[:most], f"… and {len(every) - most} more") if len(every) > most else tuple(every)


@contextmanager
def pipeline_named(call: ToolCall, name: str) -> Generator[None]:
    """Asks about a pipeline. One that is not there and one that the person may not see sound alike.

    Raises ToolError with names that are near, of those that the person may see.
    """
    try:
        yield
    except (NotFound, Forbidden):
        visible = [one.name for one in call.lifecycle.pipelines.list()]
        if name in visible:
            raise
        near = difflib.get_close_matches(name, visible, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "search finds names"
        raise ToolError(f"there is no pipeline {short(name, 63)!r} here, or you may not see it", hint=hint) from None


@contextmanager
def request_numbered(call: ToolCall, number: int) -> Generator[None]:
    """The same for a request."""
    try:
        yield
    except (NotFound, Forbidden):
        if _sees(call, number):
            raise
        raise ToolError(
            "there is no such request here, or you may not see it", hint="list_requests shows those you may see"
        ) from None


def _sees(call: ToolCall, number: int) -> bool:
    try:
        call.lifecycle.promotions.show(number)
    except (NotFound, Forbidden):
        return False
    return True
