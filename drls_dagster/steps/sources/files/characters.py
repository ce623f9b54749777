"""Half characters in JSON: an escape like `\\ud83d` without its other half, for which Spark writes `?`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from drls_dagster.steps.sources.files.heads import Head, pieces_of

_ESCAPES = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.S)
_LONGEST = 12  # bytes of a whole pair
_MAY_BE = (b"\\ud", b"\\uD")


def half_character(node: str, head: Head, path: str) -> int | None:
    """The first line of a file with half a character; None without one."""
    return None if head.opaque else first_half(pieces_of(node, head, path))


def first_half(pieces: Iterator[bytes]) -> int | None:
    """The line of the first half, in pieces of UTF-8. Without an escape of a half, a piece costs one search."""
    lines, rest = 1, b""
    for piece in pieces:
        data = rest + piece
        # What comes next may belong to an escape that begins here.
        cut = _cut(data)
        if any(mark in data[:cut] for mark in _MAY_BE) and (at := _half(data[:cut])) is not None:
            return lines + data.count(b"\n", 0, at)
        lines += data.count(b"\n", 0, cut)
        rest = data[cut:]
    at = _half(rest) if any(mark in rest for mark in _MAY_BE) else None
    return None if at is None else lines + rest.count(b"\n", 0, at)


def _cut(data: bytes) -> int:
    """A place before the last escapes, in which none of the bytes before belongs to what follows."""
    at = max(len(data) - _LONGEST, 0)
    escape = data.rfind(b"\\", 0, at)
    while escape >= 0 and at - escape <= _LONGEST:
        at = escape
        escape = data.rfind(b"\\", 0, at)
    return at


def _half(data: bytes) -> int | None:
    opened: re.Match[bytes] | None = None
    for found in _ESCAPES.finditer(data):
        code = int(found[1] or b"0", 16)
        is_low = 0xDC00 <= code < 0xE000
        if is_low and opened is not None and opened.end() == found.start():
            opened = None
        elif opened is not None or is_low:
            return (opened or found).start()
        elif 0xD800 <= code < 0xDC00:
            opened = found
    return None if opened is None else opened.start()
