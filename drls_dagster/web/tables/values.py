"""Values of a table as the pages show them, so that no two different ones look the same.

What is no value of its own (null, an empty text, NaN, a text that was cut) is a mark; everything else is its text.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

_CUT = re.compile(r"… \(([\d,]+) (characters)\)$")
_NUMBERS = ("int", "long", "float", "double", "decimal")
_SPECIAL = {"nan": "NaN", "inf": "infinity", "-inf": "−infinity"}


@dataclass(frozen=True, slots=True)
class Shown:
    """`mark`: what it is instead of a text, or what is to know of the text. `empty`: the mark is all there is."""

    text: str
    mark: str = ""
    kind: str = "plain"

    @property
    def empty(self) -> bool:
        return not self.text


def shown(value: Any, kind: str, longest: int) -> Shown:
    """A value as `lifecycle.domain.tables` has it, of a column of this type; longer text was cut to `longest`."""
    match value:
        case None:
            return Shown("", "null")
        case bool():
            return Shown("true" if value else "false")
        case float() if not math.isfinite(value):
            return Shown("", _SPECIAL[str(value)])
        case int() | float():
            return Shown(repr(value))
        case str() if kind in ("float", "double") and value in _SPECIAL:
            return Shown("", _SPECIAL[value])
        case str():
            return _text(value, kind, longest)
        case _:
            return Shown(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")), kind="nested")


def is_number(kind: str) -> bool:
    """Whether values of this type are aligned to the right."""
    return kind.startswith(_NUMBERS)


def _text(value: str, kind: str, longest: int) -> Shown:
    binary = kind == "binary" or kind.startswith("fixed")
    # One that is no longer than the limit was not cut, whatever it ends in.
    cut = _CUT.search(value) if len(value) > longest else None
    if cut:
        whole = f"{int(cut[1].replace(',', '')) // 2:,} bytes" if binary else f"{cut[1]} {cut[2]}"
        return Shown(value[: cut.start()], f"cut, {whole} in all", "binary" if binary else "text")
    if not value:
        return Shown("", "no bytes" if binary else "empty text")
    if binary:
        return Shown(value, kind="binary")
    return Shown(value, kind="text" if kind == "string" else "plain")
