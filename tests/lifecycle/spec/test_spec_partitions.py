"""Windows of time and named parts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from lifecycle.spec import PipelineSpec, Problem, TimePartitions, digest

Find = Callable[..., tuple[Problem, ...]]
Build = Callable[..., PipelineSpec]
Data = dict[str, Any]


def partitions(**fields: Any) -> Callable[[Data], object]:
    return lambda data: data.update(partitions={"column": "day", **fields})


def sql(text: str) -> Callable[[Data], object]:
    return lambda data: data["nodes"][1].update(sql=text)


WRONG: list[tuple[Data, str, str]] = [
    (
        {"kind": "yearly", "start": "2013-01-01"},
        "partitions",
        "the kind 'yearly' is not known; use one of hourly",
    ),
    ({"kind": "dialy", "start": "2013-01-01"}, "partitions", "did you mean 'daily'?"),
    ({"kind": "daily"}, "partitions.start", "it is missing; add start"),
    ({"kind": "daily", "start": "soon"}, "partitions.start", "'soon' is not a date or timestamp"),
    ({"kind": "daily", "start": 20130101}, "partitions.start", "is not a date or timestamp"),
    ({"kind": "daily", "start": "2013-01-01", "strat": 1}, "partitions.strat", "did you mean 'start'?"),
    ({"kind": "monthly", "start": "2013-01-02"}, "partitions", "write 2013-01-01"),
    ({"kind": "weekly", "start": "2024-01-03"}, "partitions", "write 2024-01-01"),
    ({"kind": "daily", "start": "2013-01-01T06:00"}, "partitions", "write 2013-01-01"),
    ({"kind": "hourly", "start": "2013-01-01T06:30"}, "partitions", "write 2013-01-01T06:00"),
    ({"kind": "monthly", "start": "2013-01-01", "end": "2013-02-03"}, "partitions", "end 2013-02-03"),
    ({"kind": "monthly", "start": "2013-01-01", "end": "2013-01-01"}, "partitions", "end is not after start"),
    (
        {"kind": "daily", "start": "2013-01-01", "timezone": "Mars/Base"},
        "partitions.timezone",
        "not a time zone",
    ),
    ({"kind": "static", "values": []}, "partitions.values", "it is empty"),
    ({"kind": "static", "values": ["eu", "us", "eu"]}, "partitions.values", "'eu' is listed twice"),
    ({"kind": "static", "values": ["eu", ""]}, "partitions.values[1]", "it is empty"),
    ({"kind": "static", "values": [" eu"]}, "partitions.values", "spaces at its ends"),
    ({"kind": "static", "values": [1]}, "partitions.values[0]", "'1' is not text; put it in quotes"),
]


@pytest.mark.parametrize(("fields", "field", "part"), WRONG, ids=[f"{w[0]['kind']}-{w[2][:30]}" for w in WRONG])
def test_partitions_that_cannot_be_are_refused(problems_of: Find, fields: Data, field: str, part: str) -> None:
    problems = problems_of(partitions(**fields))
    assert [p for p in problems if p.node is None and p.field == field and part in str(p)], [str(p) for p in problems]


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("hourly", "2013-01-01T06:00"),
        ("daily", "2013-01-01"),
        ("weekly", "2024-01-01"),
        ("monthly", "2013-01-01"),
    ],
)
def test_every_kind_of_window_begins_where_it_should(spec_of: Build, kind: str, start: str) -> None:
    spec = spec_of(partitions(kind=kind, start=start))
    assert isinstance(spec.partitions, TimePartitions)
    assert spec.partitions.start == datetime.fromisoformat(start)


def test_a_start_with_an_offset_is_wall_clock_time_of_the_zone(spec_of: Build) -> None:
    zoned = spec_of(partitions(kind="hourly", start="2024-07-01T10:00:00Z", timezone="Europe/Berlin"))
    plain = spec_of(partitions(kind="hourly", start="2024-07-01T12:00", timezone="Europe/Berlin"))
    assert digest(zoned) == digest(plain)


def test_an_incremental_read_contradicts_windows(problems_of: Find) -> None:
    def incremental(data: Data) -> None:
        data["nodes"][0]["source"]["read"] = "incremental"

    found = problems_of(incremental, partitions(kind="daily", start="2013-01-01"))
    assert [(p.node, p.field) for p in found] == [("orders", "source.read")]
    assert "continues from a position, but each run of a partitioned pipeline reads its own window" in str(found[0])


def test_following_rows_of_a_database_contradicts_windows(problems_of: Find) -> None:
    def follows(data: Data) -> None:
        data["nodes"][0]["source"] = {"kind": "jdbc", "connection": "c", "table": "t", "incremental_column": "id"}

    found = problems_of(follows, partitions(kind="daily", start="2013-01-01"))
    assert [(p.node, p.field) for p in found] == [("orders", "source.incremental_column")]
    assert "remove incremental_column and select the window in a query" in str(found[0])


def test_kafka_and_streams_contradict_windows(problems_of: Find) -> None:
    def streaming(data: Data) -> None:
        data["nodes"][0]["source"] = {"kind": "kafka", "connection": "c", "topic": "t", "format": "text"}
        data["nodes"][1]["step"] = "sparkStream"

    found = problems_of(streaming, partitions(kind="daily", start="2013-01-01"))
    assert [(p.node, p.field) for p in found] == [("orders", "source.kind"), ("daily", "step")]


def test_overwrite_partitions_needs_no_partition_by_in_a_partitioned_pipeline(problems_of: Find) -> None:
    def mode(data: Data) -> None:
        data["nodes"][2]["mode"] = "overwrite_partitions"

    assert problems_of(mode, partitions(kind="daily", start="2013-01-01")) == ()
    assert problems_of(mode) != ()


BETWEEN = "SELECT * FROM orders WHERE day >= :partition_start AND day < :partition_end AND k = :partition_key"


def test_sql_sees_the_window_only_in_a_partitioned_pipeline(problems_of: Find) -> None:
    assert problems_of(sql(BETWEEN), partitions(kind="daily", start="2013-01-01")) == ()
    assert [p.message for p in problems_of(sql(BETWEEN))] == [
        f"':{name}' is known only in a pipeline with partitions"
        for name in ("partition_start", "partition_end", "partition_key")
    ]


def test_sql_sees_only_the_key_of_static_partitions(problems_of: Find) -> None:
    found = problems_of(sql(BETWEEN), partitions(kind="static", values=["eu"]))
    assert [p.message for p in found] == [
        f"':{name}' is known only in a pipeline with time partitions" for name in ("partition_start", "partition_end")
    ]
