"""Schedules: cron expressions and time zones."""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from lifecycle.spec.base import Frozen
from lifecycle.spec.errors import FieldError, did_you_mean, shorten

_CRON_FIELD = re.compile(r"^[0-9A-Za-z*,/#?-]+$")
# croniter knows them, and Dagster does not, or would pick another time at each look.
_NEAREST_WEEKDAY = re.compile(r"[0-9]W", re.IGNORECASE)
_FIELDS = (
    "a minute from 0 to 59",
    "an hour from 0 to 23",
    "a day of the month from 1 to 31",
    "a month from 1 to 12, or JAN to DEC",
    "a day of the week from 0 (Sunday) to 6, or SUN to SAT",
)
_RANDOM = re.compile(r"(^|,)R($|[,/])", re.IGNORECASE)


def zone(name: str) -> zoneinfo.ZoneInfo:
    """The time zone of an IANA name. Raises ValueError with the nearest name."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(name, zoneinfo.available_timezones())
        raise FieldError(
            f"'{shorten(name)}' is not a time zone", hint or "use a name such as UTC or Europe/Berlin"
        ) from None


def _zone_name(name: str) -> str:
    zone(name)
    return name


def _cron(text: str) -> str:
    fields = text.split()
    if len(fields) != 5 or not all(_CRON_FIELD.match(field) for field in fields):
        raise FieldError(
            f"'{shorten(text)}' is not a cron expression of five fields",
            "write minute hour day month weekday, for example '0 6 * * *'",
        )
    for field in fields:
        if _NEAREST_WEEKDAY.search(field) or _RANDOM.search(field):
            raise FieldError(
                f"'{shorten(field)}' in the cron expression is not known to Dagster",
                "write numbers, names, ranges or steps",
            )
    for at, field in enumerate(fields):
        if not _fires(*("*" if number != at else field for number in range(len(fields)))):
            raise FieldError(
                f"'{shorten(field)}' is not {_FIELDS[at]}",
                "write numbers, ranges (1-5), lists (1,3) or steps (*/15)",
            )
    if not _fires(*fields):
        raise FieldError(
            f"'{shorten(text)}' never fires: there is no such day", "for example '0 6 * * *' is daily at six"
        )
    return " ".join(fields)


def _fires(*fields: str) -> bool:
    from croniter import croniter
    from croniter.croniter import CroniterError

    try:
        croniter(" ".join(fields), datetime(2024, 1, 1, tzinfo=UTC)).get_next(datetime)
    except (CroniterError, ValueError, KeyError):
        return False
    return True


TimeZone = Annotated[str, AfterValidator(_zone_name), WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]})]
Cron = Annotated[str, AfterValidator(_cron), WithJsonSchema({"type": "string", "examples": ["0 6 * * *"]})]


class Schedule(Frozen):
    """When runs start: a cron expression of five fields, in the wall clock of a time zone."""

    cron: Cron
    timezone: TimeZone = "UTC"
