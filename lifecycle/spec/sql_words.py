"""What the parser says of SQL that it cannot read, in words for the person who wrote it."""

from __future__ import annotations

import re
from typing import Any

from lifecycle.spec.errors import shorten

_CORRECT = "correct it there"
# By what the parser says; {0} is what it names, {at} where it is.
_WORDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"Invalid expression / Unexpected token", "{at} does not belong there"),
        (r"Required keyword", "something is missing next to {at}"),
        (r"Expect(?:ing|ed) ([\]()}>])", "a '{0}' is missing at {at}"),
        (r"Expected table name", "the name of a table is missing at {at}"),
        (r"Expected END after CASE", "an END is missing after CASE at {at}"),
        (r"Expected AS after CAST", "an AS is missing in CAST at {at}"),
        (r"(?i)Expected type", "{at} is not a type"),
        (r"Expected CTE to have alias", "a query of WITH has no name at {at}"),
        (r"any statement following CTE", "no SELECT follows WITH at {at}"),
        (r"Expected FROM or comma", "a FROM is missing in EXTRACT at {at}"),
        (r"Found multiple", "a clause appears twice at {at}"),
        (r"both ALL and DISTINCT", "SELECT has both ALL and DISTINCT at {at}"),
        (r"(?:PIVOT|Expecting (?:FOR|IN)$)", "PIVOT is not complete at {at}; it is PIVOT (sum(a) FOR b IN (1, 2))"),
        (r"at least one argument", "an argument is missing at {at}"),
        (r"Adjacent string", "two texts follow each other without a blank at {at}"),
        (r"interval literal", "an interval is not valid at {at}"),
    )
)
_OPEN = {"'": "a text", '"': "a text", "`": "a name", "/*": "a comment"}
_PIECES = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|(/\*|['\"`])", re.DOTALL)


def sql_words(sql: str, error: Exception) -> tuple[str, str]:
    """What is wrong and what to do. `error` is the parser's."""
    found: list[dict[str, Any]] = getattr(error, "errors", [])
    if not found:
        return _not_closed(sql)
    said = str(found[0].get("description"))
    at = f"'{shorten(found[0].get('highlight'), 30)}'"
    for pattern, words in _WORDS:
        if match := pattern.search(said):
            what = words.format(*match.groups(), at=at)
            break
    else:
        what = f"it cannot be read at {at}"
    return f"{what} (line {found[0].get('line')})", _CORRECT


def _not_closed(sql: str) -> tuple[str, str]:
    """Of SQL that does not even consist of words: mostly what is open until the end."""
    for piece in _PIECES.finditer(sql):
        if begins := piece[1]:
            line = sql.count("\n", 0, piece.start()) + 1
            return f"{_OPEN[begins]} that begins with {begins} in line {line} does not end", "close it"
    return "a literal is not valid, such as X'…' with other digits than 0 to 9 and A to F", _CORRECT
