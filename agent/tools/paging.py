"""Keeping answers short: lists and texts come in parts, each with the way to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from pydantic import BaseModel

from agent.tools.schema import size

ROOM = 16_000  # bytes of JSON for the longest list or text of an answer: the rest of it needs some too
ITEMS = 50  # of a list, unless the caller asks for fewer

Item = TypeVar("Item", bound=BaseModel)


def fit(
    items: Sequence[Item], limit: int, cursor_of: Callable[[Item], str], *, room: int = ROOM
) -> tuple[tuple[Item, ...], str | None]:
    """The first items, as many as fit, and the cursor of the rest: that of the last one that did, None at the end.

    Ask for one item more than `limit`, so that it shows whether there is a rest. The first item always comes.
    """
    kept: list[Item] = []
    used = 0
    for item in items[:limit]:
        used += len(item.model_dump_json(by_alias=True, exclude_none=True).encode()) + 1
        if kept and used > room:
            break
        kept.append(item)
    return tuple(kept), cursor_of(kept[-1]) if len(kept) < len(items) else None


class Part(NamedTuple):
    """Of a long text; `following` is the offset of the next part, None at the end."""

    text: str
    following: int | None


def part(text: str, offset: int = 0, *, room: int = ROOM) -> Part:
    """The text from `offset` on, cut at the end of a line where one is near, with a mark that it was cut."""
    rest = text[offset:]
    if size(rest) <= room:
        return Part(rest, None)
    end = min(len(rest), room)
    while size(rest[:end]) > room:
        end = end * 9 // 10
    line = rest.rfind("\n", end // 2, end)
    end = line + 1 if line >= 0 else max(end, 1)
    following = offset + end
    return Part(f"{rest[:end]}… cut at character {following} of {len(text)}", following)


def short(text: str, most: int = 300) -> str:
    """One line of at most `most` characters, for texts that only remind."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
