"""Windows in which promotions or maintenance may, or may not, execute: RRULE (RFC 5545) in a time zone.

Wall-clock windows: "Friday 16:00" stays 16:00 when summer time begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rruleset, rrulestr
from pydantic import field_validator, model_validator

from lifecycle.domain.duration import Duration
from lifecycle.domain.model import Frozen

_HORIZON = timedelta(days=366)
_CLOCK_CHANGE = timedelta(hours=3)  # and more than any zone moves its clock by
# Every occurrence since the start is counted through: by seconds that would take minutes.
_FINEST = re.compile(r"FREQ\s*=\s*(HOURLY|MINUTELY|SECONDLY)", re.IGNORECASE)

Span = tuple[datetime, datetime]
"""Start and end (UTC); the end is exclusive."""


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
            raise ValueError("write the local time without an offset, and the zone in timezone")
        return value

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is not a time zone; write for example Europe/Berlin") from None
        return value

    @model_validator(mode="after")
    def _readable(self) -> Window:
        if self.duration <= timedelta(0):
            raise ValueError("a window must be longer than zero")
        if _FINEST.search(self.rule):
            raise ValueError("a window repeats at most daily: write FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")
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
        return max((end for start, end in self.occurrences(now, now) if start <= now < end), default=None)

    def next_start(self, now: datetime) -> datetime | None:
        """When the next occurrence after `now` begins (UTC)."""
        return next((start for start, _ in self.occurrences(now, None) if start > now), None)

    def occurrences(self, since: datetime, until: datetime | None) -> Iterator[Span]:
        """Begin and end (UTC) of what is open at some time from `since` to `until`, and maybe of a few before it.

        A wall-clock time that is there twice is the first one; one that is skipped is as long after the one before.
        """
        zone = ZoneInfo(self.timezone)
        first = since.astimezone(zone).replace(tzinfo=None) - self.duration - _CLOCK_CHANGE
        last = until.astimezone(zone).replace(tzinfo=None) if until is not None else None
        for begun in self._rule().xafter(first, inc=True):
            if last is not None and begun > last:
                return
            start, end = (one.replace(tzinfo=zone).astimezone(UTC) for one in (begun, begun + self.duration))
            yield start, end


class Closed(Frozen):
    """Why nothing executes now, and when it opens (None: not within a year)."""

    why: str
    until: datetime | None


def closed_now(windows: Sequence[Window], now: datetime, what: str = "promotion") -> Closed | None:
    """None when a promotion, or `what` else the windows are for, may execute at `now`."""
    reason = _closing(windows, now, what)
    if reason is None:
        return None
    end = now + _HORIZON
    freezes = _joined(windows, "freeze", now, end)
    allowing = any(window.effect == "allow" for window in windows)
    allowed = _joined(windows, "allow", now, end)
    moment: datetime | None = now
    while moment is not None and moment < end:
        frozen = next((over for start, over in freezes if start <= moment < over), None)
        if frozen is None and (not allowing or any(start <= moment < over for start, over in allowed)):
            return Closed(why=reason, until=moment)
        moment = frozen or next((start for start, _ in allowed if start > moment), None)
    return Closed(why=reason, until=None)


def _closing(windows: Sequence[Window], now: datetime, what: str) -> str | None:
    for window in windows:
        if window.effect == "freeze" and window.contains(now):
            return f"the freeze window {window.name!r} is open"
    allowing = [window for window in windows if window.effect == "allow"]
    if allowing and not any(window.contains(now) for window in allowing):
        return f"no {what} window is open: " + ", ".join(w.name for w in allowing)
    return None


def _joined(windows: Sequence[Window], effect: str, since: datetime, until: datetime) -> list[Span]:
    """When any window of this effect is open, in order; what touches is one."""
    every = sorted(one for window in windows if window.effect == effect for one in window.occurrences(since, until))
    found: list[Span] = []
    for start, end in every:
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
