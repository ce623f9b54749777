"""What follows the record of a line of JSON: Spark reads the first value of a line and drops the rest of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

# Unless it is in a string, nothing else follows either of these.
_GOES_ON = re.compile(rb"[\]}][ \t]*+[^\s,\]}]")
_LONGEST = 64 * 2**20  # of a line; what is longer is one document
_READER = json.JSONDecoder()


def first_after_record(pieces: Iterator[bytes]) -> int | None:
    """The first line, of pieces of UTF-8, in which something comes after the record; None without one."""
    lines, rest = 1, b""
    for piece in pieces:
        data = rest + piece
        cut = data.rfind(b"\n") + 1
        found = _first_in(data[:cut])
        if found is not None:
            return lines + found
        lines += data.count(b"\n", 0, cut)
        rest = data[cut:]
        if len(rest) > _LONGEST:
            return None
    found = _first_in(rest)
    return None if found is None else lines + found


def _first_in(data: bytes) -> int | None:
    """As above, counted from 0, in whole lines."""
    known = -1
    for at in sorted({*(match.start() for match in _GOES_ON.finditer(data)), *_unbalanced(data)}):
        if at <= known:
            continue  # of a line that has been looked at
        start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
        known = len(data) if end < 0 else end
        if _goes_on(data[start:known].decode("utf-8", "replace")):
            return data.count(b"\n", 0, start)
    return None


def _unbalanced(data: bytes) -> list[int]:
    """A place in each line that does not close exactly what it opens, whatever is in strings."""
    import numpy as np

    signs = np.frombuffer(data, dtype=np.uint8)
    places = np.flatnonzero((signs | 0x20 == 0x7B) | (signs | 0x20 == 0x7D) | (signs == 10))  # {}[] and line feeds
    found = signs[places]
    step = np.where(found == 10, 0, np.where(found | 0x20 == 0x7B, 1, -1))
    ends = np.flatnonzero(found == 10)
    if not len(places) or found[-1] != 10:
        ends = np.append(ends, len(places) - 1) if len(places) else ends
    depths = np.cumsum(step)[ends]
    changed = np.flatnonzero(np.diff(depths, prepend=0))
    return [max(int(places[ends[one]]) - 1, 0) for one in changed]


def _goes_on(line: str) -> bool:
    text = line.strip().removeprefix("\ufeff")
    try:
        _, end = _READER.raw_decode(text)
    except (ValueError, RecursionError):
        return False  # a record that Spark does not read either
    return text[end:].strip(" \t\r,") != ""
