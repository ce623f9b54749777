"""A text in JSON is a timestamp, or refused: never one of the day of the run (finding 24)."""

from __future__ import annotations

import json

import pytest

from drls_dagster.steps.sources.files.json_moments import Moments

GOOD = [
    "2024-01-31",
    "2024-01-31 10:30:00",
    "2024-01-31T10:30:00Z",
    "2024-1-5T1:2",
    " 2024-01-31T10:00:00.5+05:30",
    1.5,
    0,
    None,
]
BAD = ["10:30", "T10:30", " 1:2:3", "10:30Z", "2024", "2024-01", "T10"]


def found(kinds: dict[str, str], *records: object, size: int = 2**20, **options: str) -> tuple[int, str] | None:
    data = "\n".join(json.dumps(one) for one in records).encode()
    return Moments(kinds, options).first_misfit(data[at : at + size] for at in range(0, len(data), size))


@pytest.mark.parametrize("kind", ["timestamp", "timestamp_ntz"])
def test_a_time_of_day_and_a_year_are_no_timestamps_and_numbers_are(kind: str) -> None:
    assert found({"at": kind, "s": "string"}, *({"at": one, "s": "10:30"} for one in GOOD)) is None
    for bad in BAD:
        assert found({"at": kind}, {"at": GOOD[0]}, {"at": bad}) == (2, "at")
        assert found({"s": "string"}, {"s": bad}) is None
        assert found({"at": kind}, {"at": bad}, timestampformat="HH:mm", timestampntzformat="HH:mm") is None


@pytest.mark.parametrize("size", [1, 7, 2**20])
def test_a_misfit_is_found_at_any_depth_and_across_pieces(size: int) -> None:
    kinds = {"a": "struct<at:timestamp,l:array<timestamp>>", "m": "map<string,timestamp_ntz>", "text": "array<string>"}
    good = {"a": {"at": GOOD[0], "l": GOOD}, "m": {"10:30": GOOD[0]}, "text": BAD}
    assert found(kinds, good, [good], size=size) is None
    assert found(kinds, good, {"a": {"at": "10:30"}}, size=size) == (2, "a.at")
    assert found(kinds, good, {"a": {"l": [0, "10:30"]}}, size=size) == (2, "a.l")
    assert found(kinds, good, good, {"m": {"x": "T1:2"}}, size=size) == (3, "m")
    assert found(kinds, [good, {"a": {"at": "2024"}}], size=size) == (1, "a.at")


def test_what_is_no_record_is_left_to_spark() -> None:
    moments = Moments({"at": "timestamp"}, {})
    assert moments.first_misfit(iter([b'{"at": "10:30"\n"10:30"\n\n{"at": 5}'])) is None
    assert moments.first_misfit(iter([b'{"at": "10:30"\r\n{"at" : "10:30"},\r\n'])) == (2, "at")
