"""Names of tables as people write them: parts with dots between, a part that has a dot itself in double quotes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lifecycle.usecases.parts.visible_tables import unknown_table

_PART = re.compile(r'"((?:[^"]|"")+)"|([^."]+)')


def join_name(parts: Sequence[str]) -> str:
    """`flights.daily`, or `flights."daily.new"`."""
    return ".".join('"' + part.replace('"', '""') + '"' if "." in part or '"' in part else part for part in parts)


def split_name(name: str) -> tuple[str, ...]:
    """The parts again. Raises NotFound for what names no table."""
    parts = parts_of(name)
    if len(parts) < 2:
        raise unknown_table(name)
    return parts


def parts_of(name: str) -> tuple[str, ...]:
    """The parts of any such name; none where it is not written like one."""
    parts: list[str] = []
    at = 0
    while found := _PART.match(name, at):
        parts.append(found[2] if found[1] is None else found[1].replace('""', '"'))
        at = found.end()
        if at == len(name):
            return tuple(parts)
        if name[at] != ".":
            return ()
        at += 1
    return ()
