"""Typed parameters: declared in the file, given at launch, seen by SQL as `:name`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal, cast

from pydantic import Field, model_validator

from lifecycle.spec.base import Flag, Frozen
from lifecycle.spec.errors import FieldError, shorten

ParameterValue = str | int | float | bool | date | datetime
"""The Python value of a parameter; a timestamp is an aware datetime in UTC."""

_INTEGER = re.compile(r"^\s*[+-]?[0-9]{1,19}\s*$")


def parse_timestamp(value: object) -> datetime:
    """An aware datetime in UTC from ISO text, a datetime or a date (its midnight). No zone means UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise FieldError(f"'{shorten(value)}' is not a timestamp", "write it like 2024-01-31T06:00:00Z") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise FieldError(f"'{shorten(value)}' is not a timestamp", "write it like 2024-01-31T06:00:00Z")
    try:
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError:
        raise FieldError(f"'{value}' is outside the calendar", "write a year from 1 to 9999") from None


def parse_date(value: object) -> date:
    """A date from ISO text or a date; a timestamp is not a date."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value.strip())
        except ValueError:
            raise FieldError(f"'{shorten(value)}' is not a date", "write it like 2024-01-31") from None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise FieldError(f"'{shorten(value)}' is not a date", "write it like 2024-01-31")
    return value


def _integer(value: object) -> int:
    if isinstance(value, str) and _INTEGER.match(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise FieldError(f"'{shorten(value)}' is not an integer", "write a whole number such as 10")
    if not -(2**63) <= value < 2**63:
        raise FieldError(f"'{shorten(value)}' does not fit into 64 bits", "use a smaller number")
    return value


def _number(value: object) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise FieldError(f"'{shorten(value)}' is not a number", "write a number such as 1.5")
    return number


def _boolean(value: object) -> bool:
    text = value.strip().lower() if isinstance(value, str) else value
    if text is True or text == "true":
        return True
    if text is False or text == "false":
        return False
    raise FieldError(f"'{shorten(value)}' is not a boolean", "write true or false")


def _string(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    raise FieldError(f"'{shorten(value)}' is not text", "write one value, in quotes")


_COERCE: dict[str, Callable[[object], ParameterValue]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": parse_date,
    "timestamp": parse_timestamp,
}


class Parameter(Frozen):
    """A value that may differ from run to run.

    Without a `default` it must be given at launch. Only `runtime: true` changes in UAT and production (L5).
    """

    type: Literal["string", "integer", "number", "boolean", "date", "timestamp"]
    default: Annotated[ParameterValue | None, Field(union_mode="left_to_right")] = None
    description: str = ""
    runtime: Flag = False

    @model_validator(mode="before")
    @classmethod
    def _typed_default(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        fields = cast("dict[str, Any]", data)
        coerce = _COERCE.get(str(fields.get("type")))
        if coerce is None or fields.get("default") is None:
            return fields
        try:
            return {**fields, "default": coerce(fields["default"])}
        except FieldError as error:
            raise FieldError(f"default: {error.message}", error.remedy) from None

    def coerce(self, value: object) -> ParameterValue:
        """The typed value of what was given at launch. Raises ValueError saying what is wrong."""
        return _COERCE[self.type](value)
