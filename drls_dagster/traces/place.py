"""Where in a trace something happens, as W3C says it in `traceparent`. It is data: nothing is allowed because of it."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass

HEADER = "traceparent"
_TEXT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_LENGTH = 55


@dataclass(frozen=True)
class Place:
    """A span by its trace's id and its own, both as lower-case hex."""

    trace: str
    span: str

    @property
    def text(self) -> str:
        """As it travels: in a header, a run's tag and a run's token."""
        return f"00-{self.trace}-{self.span}-01"

    def below(self) -> Place:
        """A new span of the same trace."""
        return Place(self.trace, secrets.token_hex(8))


# The span that this process is in.
HERE: ContextVar[Place | None] = ContextVar("drls_trace_place", default=None)


def new_trace() -> Place:
    """The first span of a trace."""
    return Place(secrets.token_hex(16), secrets.token_hex(8))


def read_place(text: object) -> Place | None:
    """What somebody sent; None for whatever is not exactly one place."""
    if not isinstance(text, str) or len(text) != _LENGTH:
        return None
    found = _TEXT.fullmatch(text)
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None
    return Place(found[1], found[2])


def headers_here() -> dict[str, str]:
    """For a request that this process sends to another of DRLS: the span that it is in."""
    place = HERE.get()
    return {} if place is None else {HEADER: place.text}
