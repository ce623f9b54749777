"""What the readers of YAML and JSON say of a text that they cannot read, in words for the person who wrote it."""

from __future__ import annotations

import json
import re

import yaml

Words = tuple[int | None, str, str]
"""The line, what is wrong there, and what to do."""

_LOOK = "check indentation, quotes and colons"
_QUOTES = ("\\ and what follows it mean nothing in double quotes", "use single quotes, or write \\\\")
_MISSING = ("a value is missing", "write it, or remove the character there")
_DIRECTIVE = ("a line that begins with % is not supported", "remove it")
_TAB = ("a line begins with a tab", "indent with spaces")
# By what libyaml says; the first that is in it.
_YAML: tuple[tuple[str, tuple[str, str]], ...] = (
    (
        "mapping values are not allowed",
        ("a ':' or an indentation is not allowed there", "put text with ': ' in quotes, or correct the indentation"),
    ),
    ("mapping keys are not allowed", ("a '?' is not allowed there", "put the text in quotes")),
    ("tab character", _TAB),
    ("expected ':'", ("a ':' is missing after a key", "write key: value")),
    ("<document start>", ("something follows the end of the file's mapping", "remove it")),
    ("'-' indicator", ("a '-' is missing, or the indentation is wrong", "indent all items and keys of a level alike")),
    ("node content", _MISSING),
    ("expected key", ("the indentation or a quote is wrong", "indent all keys of a level alike; double a ' in '…'")),
    (
        "block sequence entries",
        ("a list begins on a line of its own", "write [a, b], or one '- item' per line below the key"),
    ),
    ("escape", _QUOTES),
    ("hexdecimal", _QUOTES),
    ("YAML document", _DIRECTIVE),
    ("directive", _DIRECTIVE),
    ("tag", ("a value begins with '!', which is not supported", "write a plain value")),
    ("alphabetic or numeric", ("a name after & or * is missing, and neither is supported", "put the text in quotes")),
    ("document indicator", ("a text in quotes does not end before the next document", "add the quote")),
    ("comment", ("a '|' or '>' has something behind it", "begin the text in the next line")),
)  # fmt: skip
_JSON: tuple[tuple[str, tuple[str, str]], ...] = (
    ("property name", ("a key in double quotes is missing", 'write "key": value, without a comma after the last')),
    ("':'", ("a ':' is missing after a key", 'write "key": value')),
    ("','", ("a ',' or a closing bracket is missing", "add it")),
    ("Expecting value", _MISSING),
    ("Unterminated", ("a text that begins here does not end", "add the quote")),
    ("control character", ("a text has a line break or another control character", "close its quote, or write \\n")),
    ("Extra data", ("something follows the end", "remove it")),
    ("trailing comma", ("a comma follows the last value", "remove it")),
    ("escape", ("\\ and what follows it mean nothing", "write \\\\ for a backslash")),
)  # fmt: skip
_JSON_BEGINS = re.compile(r'\s*\{\s*"')


def looks_like_json(text: str) -> bool:
    """Whether a text that cannot be read was meant as JSON rather than as YAML."""
    return _JSON_BEGINS.match(text) is not None


def json_words(error: json.JSONDecodeError) -> Words:
    """What is wrong with a text that was meant as JSON."""
    words = next((words for part, words in _JSON if part in error.msg), ("it cannot be read here", _LOOK))
    return error.lineno, words[0], words[1]


def yaml_words(text: str, error: yaml.YAMLError) -> Words:
    """What is wrong with a text that is not YAML."""
    if isinstance(error, yaml.reader.ReaderError):
        bad = text.find(chr(error.character)) if isinstance(error.character, int) else error.position
        return line_of(text, bad), "it has a control character", "remove it"
    problem: str = getattr(error, "problem", None) or ""
    mark = getattr(error, "problem_mark", None)
    begun = getattr(error, "context_mark", None) or mark
    line, first = (None if one is None else one.line + 1 for one in (mark or begun, begun))
    if found := re.search(r"expected ',' or '(.)'", problem):
        opening = {"]": "[", "}": "{"}.get(found[1], "(")
        return first, f"after a '{opening}' here a ',' or a '{found[1]}' is missing", "add it"
    if "end of stream" in problem:
        return first, "a text in quotes that begins here does not end", "add the quote"
    if "cannot start any token" in problem:
        wrong = _character(text, mark)
        if wrong == "\t":
            return line, *_TAB
        return line, f"no value begins with '{wrong}'", "put it in quotes"
    words = next((words for part, words in _YAML if part in problem), ("it cannot be read here", _LOOK))
    return line, words[0], words[1]


def line_of(text: str, place: int) -> int:
    """The number of the line in which a character is."""
    return text.count("\n", 0, max(place, 0)) + 1


def _character(text: str, mark: yaml.Mark | None) -> str:
    lines = text.split("\n")
    if mark is None or mark.line >= len(lines):
        return ""
    return lines[mark.line][mark.column : mark.column + 1]
