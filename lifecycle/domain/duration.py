"""Durations as people write them: 30m, 12h, 7d, 2w; ISO 8601 (P7D) is read too."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def _read(value: object) -> object:
    if isinstance(value, str) and (found := re.fullmatch(r"(\d+)\s*([smhdw])", value.strip())):
        return timedelta(seconds=int(found[1]) * _UNITS[found[2]])
    return value


def write_duration(value: timedelta) -> str:
    """The shortest exact form: `7d`, `90m`."""
    seconds = int(value.total_seconds())
    for unit in ("w", "d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"


Duration = Annotated[
    timedelta, BeforeValidator(_read), PlainSerializer(write_duration, return_type=str, when_used="json")
]
