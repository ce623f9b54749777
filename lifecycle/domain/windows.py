"""Windows in which promotions may, or may not, execute: RRULE (RFC 5545) in a time zone.

Wall-clock windows: "Friday 16:00" stays 16:00 when summer time begins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rruleset, rrulestr
from pydantic import field_validator, model_validator

from lifecycle.domain.duration import Duration
from lifecycle.domain.model import Frozen

_HORIZON = timedelta(days=366)
# Every occurrence since the start is counted through: by seconds that would take minutes.
_FINEST = re.compile(r"FREQ\s*=\s*(HOURLY|MINUTELY|SECONDLY)", re.IGNORECASE)


class Window(Frozen):
    """`freeze`: nothing executes inside. `allow`: where any is given, things execute only inside one.

    `start` is the first occurrence, local to `timezone`; `rule` repeats it; `duration` is how long
    each lasts. Freeze wins over allow.
    """

    name: str
    effect: Literal["freeze", "allow"] = "freeze"
    start: datetime
    duration: Duration
    rule: str = ""
    timezone: str = "UTC"

    @field_validator("start")
    @classmethod
    def _local(cls, value: datetime) -> datetime:
        if value.tzinfo is not None:
            raise ValueError("give the local time without an offset, and the zone in timezone")
        return value

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is no time zone, write for example Europe/Berlin") from None
        return value

    @model_validator(mode="after")
    def _readable(self) -> Window:
        if self.duration <= timedelta(0):
            raise ValueError("a window lasts longer than nothing")
        if _FINEST.search(self.rule):
            raise ValueError("a window repeats daily at most: write FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")
        try:
            # Dates with a zone are only found out when they are compared.
            self._rule().after(self.start)
        except (ValueError, TypeError, IndexError, KeyError, AttributeError):
            raise ValueError(f"cannot read the rule {self.rule!r}; write for example FREQ=WEEKLY;BYDAY=FR") from None
        return self

    def _rule(self) -> rrule | rruleset:
        if not self.rule:
            return rrule(freq=3, dtstart=self.start, count=1)
        return rrulestr(self.rule, dtstart=self.start)

    def contains(self, now: datetime) -> bool:
        """Whether `now` (any zone) is inside an occurrence."""
        return self.ends(now) is not None

    def ends(self, now: datetime) -> datetime | None:
        """When the occurrence around `now` is over (UTC); None outside."""
        zone = ZoneInfo(self.timezone)
        local = now.astimezone(zone).replace(tzinfo=None)
        begun = self._rule().before(local, inc=True)
        if begun is None or local >= begun + self.duration:
            return None
        return (begun + self.duration).replace(tzinfo=zone).astimezone(UTC)

    def next_start(self, now: datetime) -> datetime | None:
        """When the next occurrence after `now` begins (UTC)."""
        zone = ZoneInfo(self.timezone)
        local = now.astimezone(zone).replace(tzinfo=None)
        following = self._rule().after(local)
        return None if following is None else following.replace(tzinfo=zone).astimezone(UTC)


class Closed(Frozen):
    """Why nothing executes now, and when it opens (None: not within a year)."""

    why: str
    until: datetime | None


def closed_now(windows: Sequence[Window], now: datetime) -> Closed | None:
    """None when a promotion may execute at `now`."""
    reason = _closing(windows, now)
    if reason is None:
        return None
    moment, end = now, now + _HORIZON
    while moment < end:
        following = _next_boundary(windows, moment)
        if following is None:
            break
        moment = following
        if _closing(windows, moment) is None:
            return Closed(why=reason, until=moment)
    return Closed(why=reason, until=None)


def _closing(windows: Sequence[Window], now: datetime) -> str | None:
    for window in windows:
        if window.effect == "freeze" and window.contains(now):
            return f"the freeze window {window.name!r} is open"
    allowing = [window for window in windows if window.effect == "allow"]
    if allowing and not any(window.contains(now) for window in allowing):
        return "no window that allows promotions is open: " + ", ".join(w.name for w in allowing)
    return None


def _next_boundary(windows: Sequence[Window], now: datetime) -> datetime | None:
    moments = [moment for w in windows for moment in (w.ends(now), w.next_start(now)) if moment is not None]
    return min((moment for moment in moments if moment > now), default=None)
