"""Schedules in words."""

from __future__ import annotations

import pytest

from lifecycle.app.pipelines.cron_words import cron_words


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 6 * * *", "every day at 06:00"),
        ("30 6,18 * * *", "every day at 06:30 and 18:30"),
        ("5 * * * *", "every hour at minute 5"),
        ("*/15 * * * *", "every 15 minutes"),
        ("* * * * *", "every minute"),
        ("0 */4 * * *", "every 4 hours at minute 0"),
        ("0 6 * * 1-5", "Monday to Friday at 06:00"),
        ("0 6 * * 0", "every Sunday at 06:00"),
        ("0 6 * * MON,7", "every Monday and Sunday at 06:00"),
        ("0 6 1 * *", "day 1 of every month at 06:00"),
        ("0 6 1 1 *", "cron 0 6 1 1 *"),
        ("0 6 1 * 1", "cron 0 6 1 * 1"),
        ("0 6 L * *", "cron 0 6 L * *"),
        ("0-5 6 * * *", "cron 0-5 6 * * *"),
        ("0 6 * * 1#2", "cron 0 6 * * 1#2"),
        ("*/7 3 * * 10", "cron */7 3 * * 10"),
    ],
)
def test_what_has_short_words_gets_them(cron: str, words: str) -> None:
    assert cron_words(cron) == words
