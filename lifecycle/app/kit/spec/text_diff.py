"""Two texts side by side, line by line, in colours; what did not change is folded, and says how long it is."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from lifecycle.app.kit.spec.highlight import highlight, plain_lines

Kind = Literal["same", "changed", "added", "removed"]
AROUND = 3
MAX_PAIRS = 4_000_000
MAX_LINES = 4_000


@dataclass(frozen=True, slots=True)
class Row:
    """A line on the left, on the right, or on both; numbers count from 1."""

    kind: Kind
    left: int | None
    left_text: Markup
    right: int | None
    right_text: Markup


@dataclass(frozen=True, slots=True)
class Block:
    """Adjacent lines; a folded block is a run of unchanged lines."""

    rows: tuple[Row, ...]
    folded: bool


@dataclass(frozen=True, slots=True)
class TextDiff:
    """`note` says what is not shown as it should be, and is empty otherwise."""

    blocks: tuple[Block, ...]
    added: int
    removed: int
    note: str


def text_diff(before: str, after: str, language: str) -> TextDiff:
    """Compares two texts. Very long ones are not aligned, or cut; `note` then says so."""
    old, new = _lines(before), _lines(after)
    opcodes, note = _opcodes(old, new)
    if old == new:
        note = "only the line endings differ"
    left, right = highlight(before, language), highlight(after, language)
    rows = list(_rows(opcodes, left, right))
    removed = sum(row.kind in ("removed", "changed") for row in rows)
    added = sum(row.kind in ("added", "changed") for row in rows)
    if len(rows) > MAX_LINES:
        note = f"{len(rows) - MAX_LINES} more lines are not shown; export both versions to compare them whole"
        rows = rows[:MAX_LINES]
    return TextDiff(tuple(_blocks(rows)), added, removed, note)


def _lines(text: str) -> list[str]:
    # Not splitlines: the highlighter's lines end nowhere else either.
    return plain_lines(text).split("\n") if text else []


def _opcodes(old: Sequence[str], new: Sequence[str]) -> tuple[list[tuple[str, int, int, int, int]], str]:
    """difflib's, but never more work than MAX_PAIRS comparisons: what is the same at both ends is set aside first."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    middle_old, middle_new = old[start : len(old) - end], new[start : len(new) - end]
    note = ""
    if len(middle_old) * len(middle_new) > MAX_PAIRS:
        inner = [("replace", 0, len(middle_old), 0, len(middle_new))]
        note = "too many differences to compare line by line; lines are shown in order"
    else:
        inner = difflib.SequenceMatcher(None, middle_old, middle_new, autojunk=False).get_opcodes()
    codes = [("equal", 0, start, 0, start)] if start else []
    codes += [(tag, a + start, b + start, c + start, d + start) for tag, a, b, c, d in inner]
    if end:
        codes.append(("equal", len(old) - end, len(old), len(new) - end, len(new)))
    return codes, note


def _rows(
    opcodes: Sequence[tuple[str, int, int, int, int]], left: Sequence[Markup], right: Sequence[Markup]
) -> Iterator[Row]:
    nothing = Markup("")
    for tag, a, b, c, d in opcodes:
        for at in range(max(b - a, d - c)):
            on_left, on_right = a + at < b, c + at < d
            kind: Kind = "same" if tag == "equal" else "changed"
            if not on_right:
                kind = "removed"
            elif not on_left:
                kind = "added"
            yield Row(
                kind=kind,
                left=a + at + 1 if on_left else None,
                left_text=left[a + at] if on_left else nothing,
                right=c + at + 1 if on_right else None,
                right_text=right[c + at] if on_right else nothing,
            )


def _blocks(rows: Sequence[Row]) -> Iterator[Block]:
    """Unchanged runs are folded but for AROUND lines next to a change; a fold hides at least as many lines."""
    at = 0
    while at < len(rows):
        same = rows[at].kind == "same"
        end = at
        while end < len(rows) and (rows[end].kind == "same") is same:
            end += 1
        head = AROUND if at else 0
        tail = AROUND if end < len(rows) else 0
        if same and end - at - head - tail > AROUND:
            if head:
                yield Block(tuple(rows[at : at + head]), folded=False)
            yield Block(tuple(rows[at + head : end - tail]), folded=True)
            if tail:
                yield Block(tuple(rows[end - tail : end]), folded=False)
        else:
            yield Block(tuple(rows[at:end]), folded=False)
        at = end
