"""Checks whose limits or values do not fit their column: Spark would compare them as something else, or fail."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime

from lifecycle.spec import AcceptedValues, AnyCheck, Freshness, Range

_NUMBERS = re.compile(r"(tinyint|smallint|int|bigint|float|double|decimal\(.*\))")
_MOMENTS = ("date", "timestamp", "timestamp_ntz")


def misfit(check: AnyCheck, kinds: Mapping[str, str]) -> str:
    """What is wrong and the remedy, in one line; empty where they fit. `kinds` has types by column in lower case."""
    if isinstance(check, Freshness):
        kind = kinds.get(check.column.lower(), "")
        if kind in (*_MOMENTS, "string", ""):
            return ""
        return f"needs a date or a timestamp, but '{check.column}' is {kind}; cast the column"
    if isinstance(check, Range):
        values = [one for one in (check.min, check.max) if one is not None]
    elif isinstance(check, AcceptedValues):
        values = list(check.values)
    else:
        return ""
    kind = kinds.get(check.column.lower(), "")
    for value in values:
        if isinstance(check, Range) and kind == "string" and not isinstance(value, str):
            return f"compares '{check.column}', which is a string, with the number {value}; cast the column"
        if not _fits(value, kind):
            return f"compares '{check.column}', which is {kind}, with {value!r}; write a value of that type"
    return ""


def _fits(value: object, kind: str) -> bool:
    """Only what Spark cannot make a value of that type is refused."""
    if _NUMBERS.fullmatch(kind):
        return not isinstance(value, str) or _is_number(value)
    if kind in _MOMENTS:
        # Any text that Spark may read is left to it.
        return isinstance(value, date | datetime) or (isinstance(value, str) and value[:4].isdigit())
    if kind == "boolean":
        return isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false"))
    return True


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
