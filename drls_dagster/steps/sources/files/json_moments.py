"""Texts in JSON that Spark takes for timestamps: `10:30` for half past ten of the day of the run, `2024` for New Year.

A number is another thing there: seconds since 1970. Once Spark has read a column, nobody can tell the two apart, so
that the files are searched instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from drls_dagster.steps.sources.files.parquet_types import Array, Kind, Leaf, Map, Struct, declared
from drls_dagster.steps.sources.files.pointing import is_timestamp

_SAID = {"timestamp": "timestampformat", "timestamp_ntz": "timestampntzformat"}
_SUSPECT = rb'"[\s]*(?:T\d|\d{1,2}:|[+-]?\d{4,7}(?:-\d{1,2})?[\s]*")'
_LONGEST = 64 * 2**20


class Moments:
    """The columns of a source that are timestamps; `options`, names in lower case, may say how these are written."""

    def __init__(self, kinds: Mapping[str, str], options: Mapping[str, str]) -> None:
        self._which = frozenset(kind for kind, option in _SAID.items() if option not in options)
        self._wanted = Struct({name: declared(kind) for name, kind in kinds.items()})
        names = list(_names(self._wanted, self._which, ""))
        keys = b"|".join(re.escape(json.dumps(name, ensure_ascii=False).encode()) for name in names if name)
        self._suspect = re.compile((b"(?:" + keys + rb")\s*:\s*" if names and all(names) else b"") + _SUSPECT)
        self._has_any = bool(names)

    def first_misfit(self, pieces: Iterator[bytes]) -> tuple[int, str] | None:
        """The line and the column of the first text that is no timestamp, in lines of UTF-8; None without one."""
        if not self._has_any:
            return None
        lines, rest = 1, b""
        for piece in pieces:
            data = rest + piece
            cut = data.rfind(b"\n") + 1
            if (found := self._first_in(data[:cut])) is not None:
                return lines + found[0], found[1]
            lines += data.count(b"\n", 0, cut)
            rest = data[cut:]
            if len(rest) > _LONGEST:
                return None
        found = self._first_in(rest)
        return None if found is None else (lines + found[0], found[1])

    def _first_in(self, data: bytes) -> tuple[int, str] | None:
        known = -1
        for match in self._suspect.finditer(data):
            if match.start() < known:
                continue  # of a line that has been looked at
            start, end = data.rfind(b"\n", 0, match.start()) + 1, data.find(b"\n", match.end())
            known = len(data) if end < 0 else end
            try:
                record = json.loads(data[start:known].decode("utf-8", "replace").strip(" \t\r,\ufeff"))
            except (ValueError, RecursionError):
                continue  # a record that Spark does not read either
            for one in record if isinstance(record, list) else [record]:
                if (column := _misfit(one, self._wanted, self._which, "")) is not None:
                    return data.count(b"\n", 0, start), column
        return None


def _names(kind: Kind, which: frozenset[str], name: str) -> Iterator[str]:
    """The key of each timestamp, empty for one in an array or a map."""
    if isinstance(kind, Leaf):
        if kind.kind in which:
            yield name
    elif isinstance(kind, Struct):
        for key, of in kind.fields.items():
            yield from _names(of, which, key)
    else:
        yield from _names(kind.element if isinstance(kind, Array) else kind.value, which, "")


def _misfit(value: Any, kind: Kind, which: frozenset[str], place: str) -> str | None:
    """Where a text is that is no timestamp, as `a.at`."""
    found: Iterator[tuple[Any, Kind, str]] = iter(())
    if isinstance(kind, Leaf):
        return place if kind.kind in which and isinstance(value, str) and not is_timestamp(value.strip()) else None
    if isinstance(kind, Struct) and isinstance(value, dict):
        found = (
            (value[name], of, f"{place}.{name}" if place else name) for name, of in kind.fields.items() if name in value
        )
    elif isinstance(kind, Array) and isinstance(value, list):
        found = ((one, kind.element, place) for one in value)
    elif isinstance(kind, Map) and isinstance(value, dict):
        found = ((one, kind.value, place) for one in value.values())
    return next((where for one, of, at in found if (where := _misfit(one, of, which, at)) is not None), None)
