"""Partitions: the windows of time, or the named parts, that runs work on one by one."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal, cast

from pydantic import (
    BeforeValidator,
    Field,
    WithJsonSchema,
    field_serializer,
    field_validator,
    model_validator,
)

from lifecycle.spec.base import Column, Frozen, PlainText
from lifecycle.spec.clock import TimeZone, zone
from lifecycle.spec.errors import FieldError, shorten
from lifecycle.spec.repeated import repeated


def _moment(value: object) -> datetime:
    """A date (its midnight) or timestamp; with an offset it stays aware until the zone is known."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise FieldError(f"'{shorten(value)}' is not a date or timestamp", "write it like 2024-01-31") from None
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    raise FieldError(f"'{shorten(value)}' is not a date or timestamp", "write it like 2024-01-31")


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "examples": ["2024-01-31", "2024-01-31T06:00"]}),
]


class TimePartitions(Frozen):
    """Windows of one hour, day, week (from Monday) or month, from `start` up to, not including, `end`.

    `start` and `end` are wall clock times in `timezone`, without an offset; without `end` the windows continue.
    A run's window is `column >= :partition_start AND column < :partition_end`.
    """

    kind: Literal["hourly", "daily", "weekly", "monthly"]
    start: Moment
    end: Moment | None = None
    column: Column
    timezone: TimeZone = "UTC"

    @model_validator(mode="before")
    @classmethod
    def _in_zone(cls, data: Any) -> Any:
        """A time with an offset becomes the wall clock time of the zone."""
        if not isinstance(data, dict):
            return data
        fields = dict(cast("dict[str, Any]", data))
        named = fields.get("timezone", "UTC")
        for field in ("start", "end"):
            try:
                moment = _moment(fields.get(field))
                if moment.tzinfo and isinstance(named, str):
                    fields[field] = moment.astimezone(zone(named)).replace(tzinfo=None)
            except (ValueError, OverflowError):
                continue
        return fields

    @model_validator(mode="after")
    def _aligned(self) -> TimePartitions:
        for field, moment in (("start", self.start), ("end", self.end)):
            if moment is not None and moment != (near := floor(self.kind, moment)):
                raise FieldError(
                    f"{field} {moment.isoformat(' ')} is not where a window of {self.kind} partitions begins",
                    f"write {_text(self.kind, near)}",
                )
        if self.end is not None and self.end <= self.start:
            raise FieldError("end is not after start", "the first window begins at start, the last one ends at end")
        return self

    @field_serializer("start", "end")
    def _as_written(self, moment: datetime | None) -> str | None:
        return None if moment is None else _text(self.kind, moment)


def floor(kind: str, moment: datetime) -> datetime:
    """Where the window that contains `moment` begins."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    if kind == "hourly":
        return hour
    day = hour.replace(hour=0)
    if kind == "weekly":
        # Monday, as in ISO 8601 and Spark's date_trunc('week').
        return day - min(timedelta(days=day.weekday()), day - datetime.min)
    return day.replace(day=1) if kind == "monthly" else day


def _text(kind: str, moment: datetime) -> str:
    return moment.isoformat(timespec="minutes") if kind == "hourly" else moment.date().isoformat()


class StaticPartitions(Frozen):
    """Named parts: the rows where `column` equals the key, which SQL sees as `:partition_key`."""

    kind: Literal["static"] = "static"
    values: Annotated[tuple[Annotated[PlainText, Field(min_length=1, max_length=255)], ...], Field(min_length=1)]
    column: Column

    @field_validator("values")
    @classmethod
    def _distinct(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if twins := repeated(values):
            raise FieldError(f"'{shorten(twins[0])}' is listed twice", "name each partition once")
        wrong = [value for value in values if value != value.strip() or any(ord(c) < 32 for c in value)]
        if wrong:
            raise FieldError(f"'{shorten(wrong[0])}' has spaces at its ends or control characters", "remove them")
        return values


AnyPartitions = Annotated[TimePartitions | StaticPartitions, Field(discriminator="kind")]
