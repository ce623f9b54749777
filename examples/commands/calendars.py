"""Runs of days. The version keeps this file, because streaks.py imports it."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta


def consecutive(days: Sequence[date], step: timedelta) -> Iterator[list[date]]:
    """The sorted days in groups without a gap."""
    group: list[date] = []
    for day in days:
        if group and day - group[-1] != step:
            yield group
            group = []
        group.append(day)
    if group:
        yield group
