"""Times, lengths and partitions in the words that people read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from lifecycle.app.kit.words import ago, partition

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (timedelta(days=7, seconds=-1), "in 7 days"), (timedelta(hours=23, minutes=40), "in 1 day"),
        (timedelta(hours=35), "in 1 day"), (timedelta(minutes=59, seconds=45), "in 1 h"),
        (timedelta(minutes=29), "in 29 min"), (timedelta(seconds=59), "in 59 s"),
        (timedelta(days=-1, hours=-23), "1 day ago"), (timedelta(0), "0 s ago"),
    ],
)  # fmt: skip
def test_what_is_to_come_is_said_to_the_nearest_unit(ahead: timedelta, said: str) -> None:
    assert f">{said}</time>" in ago(cast("Any", {"now": NOW}), NOW + ahead)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("2013-06-01T00:00:00+00:00/2013-07-01T00:00:00+00:00", "2013-06-01 to 2013-07-01"),
        ("2013-06-01T06:00:00+00:00/2013-06-01T12:00:00+00:00", "2013-06-01 06:00:00 to 2013-06-01 12:00:00"),
        ("2013-06-01T02:00:00+02:00/2013-06-02T02:00:00+02:00", "2013-06-01 to 2013-06-02"),
    ],
)
def test_a_range_of_times_is_short_and_its_key_is_in_the_title(key: str, said: str) -> None:
    assert partition(key) == f'<span class="nowrap" title="{key}">{said}</span>'


@pytest.mark.parametrize("key", ["2013-06-01", "europe/berlin", "a", "<b>/<i>", "2013-06-01/2013-07-01", ""])
def test_any_other_partition_is_as_it_is(key: str) -> None:
    assert partition(key) == key
