"""Values as text that people can look at: bounded, one line, nothing that a terminal or page would obey."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def as_text(expression: str, length: int) -> str:
    """The SQL of a value as text of at most `length` characters, and one more where there was more."""
    return f"left(CAST({expression} AS VARCHAR), {length + 1})"


def shown(text: str | None, length: int) -> str | None:
    """What the database answered for `as_text`, fit to be shown."""
    if text is None:
        return None
    cut = text if len(text) <= length else text[: length - 1] + "…"
    return cut if cut.isprintable() else "".join(map(_visible, cut))


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`items` in pieces of at most `size`: a table may have a thousand columns, one statement should not."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    return {"\n": "⏎", "\t": "⇥"}.get(character) or f"\\u{ord(character):04x}"
