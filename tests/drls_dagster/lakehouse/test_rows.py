"""F11: a day that Python has no value for is shown, and does not look like an outage of the catalog."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drls_dagster.lakehouse.rows import _day, rows_of

FAR = 3_078_896  # days from 1970 to 10399-09-25


@given(st.dates(min_value=date(1, 1, 1), max_value=date(9999, 12, 31)))
def test_days_are_those_of_the_calendar(day: date) -> None:
    assert _day((day - date(1970, 1, 1)).days) == day.isoformat()


@pytest.mark.parametrize(
    ("days", "text"), [(FAR, "10399-09-25"), (-719_529, "-0001-12-31"), (-719_528, "0000-01-01"), (2**31 - 1, "5881580-07-11")]
)  # fmt: skip
def test_days_outside_of_pythons_calendar(days: int, text: str) -> None:
    assert _day(days) == text


def test_values_that_python_has_not_are_text_and_their_neighbours_stay_values() -> None:
    days = pa.array([FAR, 0, None], pa.date32())
    moments = pa.array([FAR * 86_400_000_000 + 1, 0, None], pa.timestamp("us", "UTC"))
    table = pa.table(
        {
            "day": days,
            "at": moments,
            "wall": moments.cast(pa.timestamp("us")),
            "in_struct": pa.StructArray.from_arrays([days], ["day"]),
            "in_list": pa.array([[FAR], [], None], pa.list_(pa.date32())),
            "in_map": pa.array([[("a", FAR)], [], None], pa.map_(pa.string(), pa.date32())),
        }
    )
    far, epoch, nothing = rows_of(table)
    assert far == {
        "day": "10399-09-25",
        "at": "10399-09-25T00:00:00.000001+00:00",
        "wall": "10399-09-25T00:00:00.000001",
        "in_struct": {"day": "10399-09-25"},
        "in_list": ["10399-09-25"],
        "in_map": [("a", "10399-09-25")],
    }
    assert epoch["day"] == date(1970, 1, 1)
    assert epoch["at"] - datetime(1970, 1, 1, tzinfo=UTC) == timedelta(0)
    assert nothing == {**dict.fromkeys(nothing), "in_struct": {"day": None}}
