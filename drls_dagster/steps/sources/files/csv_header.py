"""The header of a CSV file, read as Spark's parser reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from drls_dagster.steps.sources.files.heads import Head

_PARTS: re.Pattern[str] = re.compile(r"\\.|.", re.S)
_ESCAPES: dict[str, str] = {
    "\\t": "\t",
    "\\n": "\n",
    "\\r": "\r",
    "\\b": "\b",
    "\\f": "\f",
    "\\\\": "\\",
    '\\"': '"',
    "\\'": "'",
}


@dataclass(frozen=True)
class Dialect:
    """How a line is split into values."""

    sep: str
    quote: str
    escape: str
    comment: str
    line: re.Pattern[str]
    multiline: bool

    @classmethod
    def of(cls, options: Mapping[str, str]) -> Dialect:
        sep = options.get("sep", options.get("delimiter", ",")) or ","
        lines = options.get("linesep")
        return cls(
            sep="".join(_ESCAPES.get(str(part), str(part)) for part in _PARTS.findall(sep)),
            quote=options.get("quote", '"'),
            escape=options.get("escape", '"'),
            comment=options.get("comment", ""),
            line=re.compile(re.escape(_ESCAPES.get(lines, lines))) if lines else re.compile("\r\n|\n|\r"),
            multiline=options.get("multiline", "false").lower() == "true",
        )


def header_of(head: Head, dialect: Dialect) -> list[str] | None:
    """The names of the first line that holds any; None where it is longer than what was read."""
    text = head.text.removeprefix("\ufeff")
    while text:
        found = dialect.line.search(text)
        if found is None and not head.whole:
            return None
        line = text[: found.start()] if found else text
        rest = text[found.end() :] if found else ""
        if line.strip() and not (dialect.comment and line.startswith(dialect.comment)):
            names, open_at_end = values_of(text if dialect.multiline else line, dialect)
            return None if open_at_end and dialect.multiline and not head.whole else names
        text = rest
    return []


def values_of(text: str, dialect: Dialect) -> tuple[list[str], bool]:
    """The values of the first record of a text, and whether it ends inside quotes."""
    values: list[str] = []
    at = 0
    while True:
        value, at, is_open = _value(text, at, dialect)
        values.append(value)
        if is_open or not text.startswith(dialect.sep, at):
            return values, is_open
        at += len(dialect.sep)


def _value(text: str, at: int, dialect: Dialect) -> tuple[str, int, bool]:
    start = at
    while dialect.quote and text[start : start + 1] == " ":
        start += 1
    if not dialect.quote or text[start : start + 1] != dialect.quote:
        return _plain(text, at, dialect)
    value, at = "", start + 1
    while at < len(text):
        one, following = text[at], text[at + 1 : at + 2]
        if one == dialect.escape and following == dialect.quote:
            value, at = value + dialect.quote, at + 2
        elif one == dialect.quote:
            end = at + 1
            while text[end : end + 1] == " ":
                end += 1
            if end == len(text) or text.startswith(dialect.sep, end) or dialect.line.match(text, end):
                return value, end, False
            # An unescaped quote inside a quoted value: Spark takes the value as it is.
            plain, end, _ = _plain(text, start, dialect)
            return plain, end, False
        else:
            value, at = value + one, at + 1
    return value, at, True


def _plain(text: str, at: int, dialect: Dialect) -> tuple[str, int, bool]:
    stop = text.find(dialect.sep, at)
    line = dialect.line.search(text, at)
    ends = [end for end in (stop, line.start() if line else -1) if end >= 0]
    end = min(ends, default=len(text))
    return text[at:end], end, False
