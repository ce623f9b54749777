"""Windows of a policy around changes of the clock: what closes now, until when, and what is said ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifecycle.app.settings.policy_view import ahead
from lifecycle.domain.windows import Window, closed_now

WEEKEND = Window(
    name="weekend", start=datetime(2026, 1, 2, 18), duration=timedelta(hours=60), rule="FREQ=WEEKLY;BYDAY=FR",
    timezone="Europe/Berlin",
)  # fmt: skip
# In Berlin 02:00 is 03:00 on 29 March, and 03:00 is 02:00 again on 25 October.
NIGHT = Window(
    name="night", start=datetime(2026, 1, 1, 1), duration=timedelta(minutes=90), rule="FREQ=DAILY",
    timezone="Europe/Berlin",
)  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def until(window: Window, now: str) -> datetime | None:
    closed = closed_now([window], at(now))
    return closed and closed.until


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-03-27T16:59", None),
        ("2026-03-27T17:00", "2026-03-30T04:00"),
        ("2026-03-30T03:59", "2026-03-30T04:00"),
        ("2026-03-30T04:00", None),
        ("2026-10-23T16:00", "2026-10-26T05:00"),
        ("2026-10-26T04:59", "2026-10-26T05:00"),
        ("2026-10-26T05:00", None),
    ],
)
def test_a_weekend_is_from_friday_18_00_to_monday_06_00_of_the_clock_on_the_wall(now: str, opens: str | None) -> None:
    assert until(WEEKEND, now) == (at(opens) if opens else None)


@pytest.mark.parametrize("day", ["2026-03-28", "2026-03-29", "2026-03-30", "2026-10-24", "2026-10-25", "2026-10-26"])
def test_in_nights_with_an_hour_more_or_less_it_opens_when_it_says(day: str) -> None:
    midnight = at(f"{day}T00:00") - timedelta(hours=3)
    for minutes in range(0, 6 * 60, 5):
        moment = midnight + timedelta(minutes=minutes)
        closed = closed_now([NIGHT], moment)
        assert NIGHT.contains(moment) == (closed is not None)
        if closed is not None:
            assert closed.until is not None
            assert closed.until - moment <= timedelta(minutes=150)
            assert closed_now([NIGHT], closed.until) is None
            assert closed_now([NIGHT], closed.until - timedelta(seconds=1)) is not None


def test_what_is_said_ahead_is_what_happens() -> None:
    for now in ("2026-03-20T09:00", "2026-10-16T09:00"):
        said = ahead((WEEKEND,), at(now))
        assert len(said) == 2
        for one in said:
            assert WEEKEND.ends(one.start) == one.end
            assert until(WEEKEND, one.start.isoformat()[:16]) == one.end


def test_freezes_win_over_what_is_allowed_and_what_touches_is_one() -> None:
    day: dict[str, Any] = {"start": datetime(2016, 1, 1), "rule": "FREQ=DAILY"}
    always = Window(name="always", duration=timedelta(days=1), **day)
    closed = closed_now([always], at("2026-03-01T00:00"))
    assert closed is not None
    assert (closed.why, closed.until) == ("the freeze window 'always' is open", None)
    hours = Window(name="hours", effect="allow", duration=timedelta(hours=9), **day)
    morning = Window(name="morning", duration=timedelta(hours=8), **day)
    for now in ("2026-03-01T03:00", "2026-02-28T09:00"):
        assert (answer := closed_now([hours, morning], at(now))) is not None
        assert answer.until == at("2026-03-01T08:00")
    assert closed_now([hours, morning], at("2026-03-01T08:30")) is None
    over = Window(name="over", effect="allow", start=datetime(2016, 1, 1), duration=timedelta(days=1))
    assert until(over, "2026-03-01T00:00") is None
