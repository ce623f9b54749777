"""A cron expression in words, where there are simple ones."""

from __future__ import annotations

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SPANS = {"1-5": "Monday to Friday", "MON-FRI": "Monday to Friday", "0,6": "weekends", "6,0": "weekends"}
_NAMES = {name[:3].upper(): name for name in _DAYS}


def cron_words(cron: str) -> str:
    """`0 6 * * *` is "every day at 06:00"; what has no short words stays a cron expression."""
    minute, hour, day, month, weekday = cron.split()
    if month != "*" or (day != "*" and weekday != "*"):
        return f"cron {cron}"
    every = (day, weekday) == ("*", "*")
    if hour == "*" and every:
        if minute == "*":
            return "every minute"
        if minute.startswith("*/") and minute[2:].isdigit():
            return f"every {int(minute[2:])} minutes"
        if minute.isdigit():
            return f"every hour at minute {int(minute)}"
    if minute.isdigit() and hour.startswith("*/") and hour[2:].isdigit() and every:
        return f"every {int(hour[2:])} hours at minute {int(minute)}"
    days = _days(day, weekday)
    if days is None or not minute.isdigit() or not all(part.isdigit() for part in hour.split(",")):
        return f"cron {cron}"
    return f"{days} at {' and '.join(f'{int(part):02}:{int(minute):02}' for part in hour.split(','))}"


def _days(day: str, weekday: str) -> str | None:
    if day.isdigit():
        return f"day {int(day)} of every month"
    if (day, weekday) == ("*", "*"):
        return "every day"
    if day != "*":
        return None
    if weekday.upper() in _SPANS:
        return _SPANS[weekday.upper()]
    names = [_DAYS[int(one)] if one in "01234567" else _NAMES.get(one.upper()) for one in weekday.split(",")]
    known = [name for name in names if name is not None]
    return "every " + " and ".join(known) if known and len(known) == len(names) else None
