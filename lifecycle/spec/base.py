"""The frozen base model and the scalar types that several parts of a pipeline share."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    WithJsonSchema,
    model_serializer,
)
from pydantic_core.core_schema import SerializerFunctionWrapHandler

from lifecycle.spec.errors import FieldError, shorten

ENVIRONMENTS = ("development", "qa", "uat", "production")
"""The environments in the order of promotion. Namespaces ending in `__<one of them>` are reserved (D11)."""

_KINDS = ("type", "step", "kind")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 100 * 366 * 86400.0
_DURATION = re.compile(r"^\s*([0-9]{1,15})\s*(ms|s|m|h|d)\s*$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NO_FILE = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')


class Frozen(BaseModel):
    """A part of a pipeline: immutable, refuses unknown fields."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        defer_build=True,
    )

    @model_serializer(mode="wrap")
    def _keep_kind(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # exclude_defaults would drop what tells the kinds apart, and the file could not be read again.
        data: dict[str, Any] = dump(self)
        fields = type(self).model_fields
        kinds = {name: getattr(self, name) for name in _KINDS if name in fields}
        first = {name: data[name] for name in ("id",) if name in data}
        return {**first, **kinds, **data} if kinds else data


def parse_duration(value: object) -> float:
    """Seconds, to the millisecond, of `500ms`, `10s`, `2m`, `1h` or `2d`; a number is seconds."""
    seconds = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and (found := _DURATION.match(value)):
        seconds = int(found[1]) * _UNITS[found[2]]
    if not 0 <= seconds <= _LONGEST:
        raise FieldError(f"'{shorten(value)}' is not a duration", "write a number and a unit: 500ms, 10s, 2m, 1h or 2d")
    return round(seconds * 1000) / 1000


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads as the same number of seconds."""
    milliseconds = round(seconds * 1000)
    for unit in ("d", "h", "m", "s"):
        whole, rest = divmod(milliseconds, round(_UNITS[unit] * 1000))
        if whole and not rest:
            return f"{whole}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def refuse_code_path(path: str) -> str:
    """Raises FieldError for what is no plain path below a folder."""
    for part in path.split("/"):
        if not part or part.startswith(".") or part != part.strip() or _NO_FILE.search(part):
            raise FieldError(f"'{shorten(path)}' is not a valid name for a code file", "rename it")
    return path


def _scalar_text(value: object) -> object:
    """Options, tags and properties are text: `true` is written as people and Spark write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return plain_value(value)


def plain_value(value: object) -> object:
    """A date or timestamp as ISO text: JSON has neither, and both forms of a file must mean the same."""
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if isoformat else value


def _one_value(value: object) -> object:
    value = plain_value(value)
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise FieldError(f"'{shorten(value)}' is not one value", "write text, a number, true or false")
    if not isinstance(value, str) and abs(value) > 2**53 - 1:
        raise FieldError(f"{shorten(value)} is too large for a number that JSON carries exactly", "put it in quotes")
    return value


def _safe_path(value: str) -> str:
    if _CONTROL.search(value) or ".." in re.split(r"[/\\]", value):
        raise FieldError(
            f"the path '{shorten(value)}' leaves its folder", "write it without '..' and control characters"
        )
    return value


Whole = Annotated[int, Strict(), Field(ge=-(2**53) + 1, le=2**53 - 1)]
Flag = Annotated[bool, Strict()]
Text = Annotated[str, Field(min_length=1)]
ScalarText = Annotated[str, BeforeValidator(_scalar_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
PlainText = Annotated[str, BeforeValidator(plain_value)]
PlainScalar = Annotated[
    Annotated[bool, Strict()] | Annotated[int, Strict()] | Annotated[float, Strict()] | str,
    Field(union_mode="left_to_right"),
    BeforeValidator(_one_value),
]
Seconds = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": ["string", "number"], "pattern": r"^\s*[0-9]+\s*(ms|s|m|h|d)\s*$"}),
]
Path = Annotated[
    str,
    Field(min_length=1, max_length=4096),
    BeforeValidator(lambda v: _safe_path(v) if isinstance(v, str) else v),
]
CodePath = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(refuse_code_path)]
Column = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$", max_length=255)]
Columns = Annotated[tuple[Column, ...], Field(min_length=1)]
NodeId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
Connection = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=63)]
TableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$", max_length=255)]
Entrypoint = Annotated[
    str,
    Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$", max_length=255),
]


def reserved_environment(table: str) -> str | None:
    """The environment whose reserved namespace (D11) a table name uses, else None."""
    for level in table.lower().split(".")[:-1]:
        for environment in ENVIRONMENTS:
            if level.endswith(f"__{environment}"):
                return environment
    return None
