"""Time that moves when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lifecycle.ports import Clock


class FakeClock(Clock):
    def __init__(self, start: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        # A little later at each look, as with a real clock.
        self._now += timedelta(microseconds=1)
        return self._now

    def advance(self, **how_long: float) -> None:
        self._now += timedelta(**how_long)
