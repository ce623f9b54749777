"""What a definition consists of, so that work that is copied past the parent chain is found again (L6)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

_SHORT = 16
_COMMENTS = re.compile(r"/\*.*?\*/|--[^\n]*|(?<!\S)#[^\n]*", re.DOTALL)
_LEFT_OUT = ("name", "format_version", "nodes", "edges")

Fragments = frozenset[int]


def fragments(spec: str) -> Fragments:
    """The parts of a definition (canonical JSON), as numbers: each node without its id, each edge, each further
    field, and each line of text that is long enough to be somebody's work. Comments and blanks do not count."""
    values: dict[str, Any] = json.loads(spec)
    return frozenset(_number(part) for part in _parts(values))


def introduced(
    new: Fragments, versions: Iterable[int], content: Mapping[int, Fragments], parents: Mapping[int, frozenset[int]]
) -> frozenset[int]:
    """The versions that brought one of the `new` fragments: they have it, and one that they were saved on has not."""
    found: set[int] = set()
    for version in versions:
        brought = new & content.get(version, frozenset())
        before = [content.get(parent, frozenset()) for parent in parents.get(version, ())]
        if brought and (not before or any(not brought <= one for one in before)):
            found.add(version)
    return frozenset(found)


def _parts(values: dict[str, Any]) -> Iterator[str]:
    for node in values.get("nodes", ()):
        yield "node " + _json({name: value for name, value in node.items() if name != "id"})
    for edge in values.get("edges", ()):
        yield "edge " + _json(edge)
    for name, value in values.items():
        if name in _LEFT_OUT:
            continue
        entries = cast("dict[str, Any]", value) if isinstance(value, dict) else {"": value}
        for key, entry in entries.items():
            if entry not in (None, "", [], {}):
                yield f"{name} {key} {_json(entry)}"
    yield from (f"text {line}" for line in _lines({name: v for name, v in values.items() if name != "name"}))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        for line in _COMMENTS.sub(" ", value).splitlines():
            plain = " ".join(line.split()).casefold()
            if len(plain) >= _SHORT:
                yield plain
    elif isinstance(value, dict):
        for one in cast("dict[str, Any]", value).values():
            yield from _lines(one)
    elif isinstance(value, list):
        for one in cast("list[Any]", value):
            yield from _lines(one)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _number(part: str) -> int:
    return int.from_bytes(hashlib.sha256(part.encode()).digest()[:8])
