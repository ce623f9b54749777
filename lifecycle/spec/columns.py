"""Column types as written in a file: `long`, `decimal(10,2)`, `array<struct<a:int,b:string>>`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from lifecycle.spec.errors import FieldError, did_you_mean, shorten

SIMPLE_TYPES = (
    "boolean", "int", "long", "float", "double", "string", "date", "timestamp", "timestamp_ntz", "binary",
)  # fmt: skip
_OTHER_NAMES = {
    "bigint": "long", "integer": "int", "text": "string", "varchar": "string", "bool": "boolean",
    "real": "float", "timestamptz": "timestamp", "bytes": "binary", "number": "double",
    "smallint": "int", "list": "array<…>",
}  # fmt: skip
_TOKEN = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[<>(),:])\s*")
_MAX_DEPTH = 16
_COLUMN_NAME = re.compile(r"^[^\x00-\x1f\x7f`]{1,255}$")


def column_type(text: str) -> str:
    """The normal form of a column type: lower case, no spaces; names of struct fields are kept.

    Raises ValueError saying what is not a type.
    """
    tokens: list[str] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise FieldError(f"'{shorten(text)}' is not a column type", _known())
        tokens.append(found[1])
        at = found.end()
    reader = _Reader(tokens, text)
    result = reader.read(0)
    if reader.rest:
        raise FieldError(f"'{shorten(text)}' is not a column type", _known())
    return result


def _known() -> str:
    return f"use {', '.join(SIMPLE_TYPES)}, decimal(p,s), array<..>, map<..,..> or struct<a:..,b:..>"


class _Reader:
    def __init__(self, tokens: list[str], text: str) -> None:
        self.rest = tokens
        self.text = text

    def _take(self, *wanted: str) -> str:
        if not self.rest or (wanted and self.rest[0] not in wanted):
            raise FieldError(f"'{shorten(self.text)}' is not a column type", _known())
        return self.rest.pop(0)

    def read(self, depth: int) -> str:
        if depth > _MAX_DEPTH:
            raise FieldError("the column type is nested too deeply", f"use at most {_MAX_DEPTH} levels")
        name = self._take().lower()
        if name in SIMPLE_TYPES:
            return name
        if name == "decimal":
            return self._decimal()
        if name == "array":
            self._take("<")
            item = self.read(depth + 1)
            self._take(">")
            return f"array<{item}>"
        if name == "map":
            self._take("<")
            key = self.read(depth + 1)
            self._take(",")
            value = self.read(depth + 1)
            self._take(">")
            return f"map<{key},{value}>"
        if name == "struct":
            return self._struct(depth)
        other = _OTHER_NAMES.get(name)
        hint = f"did you mean '{other}'?" if other else did_you_mean(name, SIMPLE_TYPES)
        raise FieldError(f"'{shorten(name)}' is not a column type", hint or _known())

    def _decimal(self) -> str:
        self._take("(")
        precision = self._take()
        self._take(",")
        scale = self._take()
        self._take(")")
        fits = precision.isdigit() and scale.isdigit() and len(precision) < 3 and len(scale) < 3
        if not fits or not (1 <= int(precision) <= 38 and int(scale) <= int(precision)):
            raise FieldError(
                f"'{shorten(self.text)}' is not a decimal",
                "write decimal(precision,scale), at most 38 digits",
            )
        return f"decimal({int(precision)},{int(scale)})"

    def _struct(self, depth: int) -> str:
        self._take("<")
        fields: dict[str, str] = {}
        while True:
            name = self._take()
            self._take(":")
            if not name.isidentifier() or name.lower() in {known.lower() for known in fields}:
                raise FieldError(f"'{shorten(name)}' cannot be a field of this struct", "give each field its own name")
            fields[name] = self.read(depth + 1)
            if self._take(",", ">") == ">":
                return "struct<" + ",".join(f"{name}:{kind}" for name, kind in fields.items()) + ">"


def _from_list(value: object) -> object:
    """A list of {name, type} means the same as a mapping; canonical JSON needs it, for order counts."""
    if not isinstance(value, list | tuple):
        return value
    columns: dict[str, Any] = {}
    for item in value:  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(item, Mapping) or set(item) != {"name", "type"}:  # pyright: ignore[reportUnknownArgumentType]
            raise FieldError("a list of columns has items {name, type}", "write a mapping: {column: type}")
        columns[str(item["name"])] = item["type"]  # pyright: ignore[reportUnknownArgumentType]
    return columns


def _no_twins(columns: dict[str, str]) -> dict[str, str]:
    seen: dict[str, str] = {}
    for name in columns:
        if not _COLUMN_NAME.match(name) or name != name.strip():
            raise FieldError(f"'{shorten(name)}' cannot be a column name", "use letters, digits and '_'")
        twin = seen.setdefault(name.lower(), name)
        if twin != name:
            raise FieldError(
                f"the columns '{twin}' and '{name}' differ only in case",
                "Spark treats them as the same column: rename one",
            )
    return columns


ColumnType = Annotated[str, AfterValidator(column_type)]
Schema = Annotated[
    dict[str, ColumnType],
    BeforeValidator(_from_list),
    AfterValidator(_no_twins),
    Field(min_length=1),
    WithJsonSchema(
        {
            "description": "Column names with their types, in the order of the table",
            "anyOf": [
                {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
                {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "type": {"type": "string"}},
                        "required": ["name", "type"],
                        "additionalProperties": False,
                    },
                },
            ],
        }
    ),
]
"""Column names and their types, in the order of the table."""
