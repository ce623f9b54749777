"""Parameters take text from a launch and values from a file, and become typed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from lifecycle.spec import Parameter


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("string", "x", "x"),
        ("string", 5, "5"),
        ("string", True, "true"),
        ("string", date(2024, 1, 31), "2024-01-31"),
        ("integer", "10", 10),
        ("integer", " -3 ", -3),
        ("integer", 10.0, 10),
        ("integer", 2**62, 2**62),
        ("number", "1.5", 1.5),
        ("number", 3, 3.0),
        ("boolean", "True", True),
        ("boolean", "false", False),
        ("boolean", True, True),
        ("date", "2024-01-31", date(2024, 1, 31)),
        ("date", date(2024, 1, 31), date(2024, 1, 31)),
        ("timestamp", "2024-01-31T06:00:00Z", datetime(2024, 1, 31, 6, tzinfo=UTC)),
        ("timestamp", "2024-01-31T06:00:00+02:00", datetime(2024, 1, 31, 4, tzinfo=UTC)),
        ("timestamp", "2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("timestamp", datetime(2024, 1, 31, 6), datetime(2024, 1, 31, 6, tzinfo=UTC)),
        ("timestamp", date(2024, 1, 31), datetime(2024, 1, 31, tzinfo=UTC)),
    ],
)
def test_a_value_is_typed(kind: Any, given: object, value: object) -> None:
    typed = Parameter(type=kind).coerce(given)
    assert typed == value
    assert type(typed) is type(value)


@pytest.mark.parametrize(
    ("kind", "given", "part"),
    [
        ("string", [1], "is not text"),
        ("string", None, "is not text"),
        ("integer", "1.5", "'1.5' is not an integer"),
        ("integer", True, "is not an integer"),
        ("integer", "ten", "is not an integer"),
        ("integer", "9" * 19, "does not fit into 64 bits"),
        ("integer", 2**64, "does not fit into 64 bits"),
        ("number", "x", "is not a number"),
        ("number", "nan", "is not a number"),
        ("number", "inf", "is not a number"),
        ("number", True, "is not a number"),
        ("boolean", "yes", "'yes' is not a boolean; write true or false"),
        ("boolean", 1, "is not a boolean"),
        ("date", "31.1.2024", "is not a date; write it like 2024-01-31"),
        ("date", datetime(2024, 1, 31), "is not a date"),
        ("date", 20240131, "is not a date"),
        ("timestamp", "noon", "is not a timestamp"),
        ("timestamp", "0001-01-01T00:00:00+14:00", "outside the calendar"),
    ],
)
def test_a_value_of_another_type_is_refused_with_the_right_form(kind: Any, given: object, part: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        Parameter(type=kind).coerce(given)
    assert part in str(caught.value)


def test_a_default_is_typed_and_absent_where_a_launch_must_give_it() -> None:
    assert Parameter(type="date", default="2024-01-31").default == date(2024, 1, 31)
    assert Parameter(type="integer").default is None
    assert Parameter(type="integer").runtime is False
