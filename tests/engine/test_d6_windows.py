"""D6: a partitioned run replaces its window, all of it and nothing else."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from lab import Lab, files, on, sink, sql

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.refs import summary
from drls_dagster.steps.window import Window

DAILY = {"kind": "daily", "start": "2024-01-01", "end": "2024-01-06", "column": "day"}
NEW_YORK = ZoneInfo("America/New_York")
FILTER = "SELECT * FROM raw WHERE day >= :partition_start AND day < :partition_end"


def daily(lab: Lab, query: str = FILTER, **more: Any) -> str:
    return lab.pipeline(
        files("raw", lab.path("*.csv"), day="date", n="int"),
        sql("part", query),
        sink("out", lab.named("out"), "overwrite_partitions", **{"partition_by": ["month(day)"], **more}),
        flow="raw>part>out",
        partitions=DAILY,
    )


def day_window(first: int, last: int) -> Window:
    start, end = datetime(2024, 1, first, tzinfo=UTC), datetime(2024, 1, last + 1, tzinfo=UTC)
    return Window("day", tuple(f"2024-01-0{n}" for n in range(first, last + 1)), start, end)


def on_days(*numbers: tuple[int, int]) -> list[tuple[date, int]]:
    return [(date(2024, 1, day), n) for day, n in numbers]


def write(lab: Lab, *numbers: tuple[int, int]) -> None:
    lab.file("a.csv", "day,n\n" + "".join(f"2024-01-0{day},{n}\n" for day, n in numbers))


@pytest.mark.slow
def test_d6_daily_windows_in_monthly_partitions_replace_their_own_rows_only(lab: Lab) -> None:
    """The range in one run equals one run per day; a file of several days is rewritten; an empty day is emptied."""
    write(lab, (1, 1), (2, 2), (3, 3))
    ran = lab.run(daily(lab), partition_range=("2024-01-01", "2024-01-05"))
    assert ran.success, ran.failures
    assert lab.rows("out") == on_days((1, 1), (2, 2), (3, 3))
    assert len(list(lab.table("out").scan().plan_files())) == 1

    write(lab, (1, 10), (2, 20), (2, 21), (3, 30))
    ran = lab.run(daily(lab), partition="2024-01-02")
    assert ran.success, ran.failures
    assert lab.rows("out") == on_days((1, 1), (2, 20), (2, 21), (3, 3))

    write(lab, (1, 10), (3, 30))
    lab.prepare(daily(lab), window=day_window(2, 2)).sink("out")
    assert lab.rows("out") == on_days((1, 1), (3, 3))
    lab.prepare(daily(lab), window=day_window(4, 4)).sink("out")  # empty before and after
    assert lab.rows("out") == on_days((1, 1), (3, 3))

    whole = lab.pipeline(
        files("raw", lab.path("*.csv"), day="date", n="int"),
        sql("part", FILTER),
        sink("out", lab.named("single"), "overwrite_partitions", partition_by=["month(day)"]),
        flow="raw>part>out",
        partitions=DAILY,
    )
    for day in range(1, 6):
        lab.prepare(whole, window=day_window(day, day)).sink("out")
    lab.prepare(daily(lab), window=day_window(1, 5)).sink("out")
    assert lab.rows("single") == lab.rows("out") == on_days((1, 10), (3, 30))


def test_a_merge_of_all_partitions_changes_adds_and_keeps_the_rows_of_a_merge_of_some(lab: Lab) -> None:
    text = lab.pipeline(
        files("raw", lab.path("*.csv"), day="date", n="int"),
        sql("part", FILTER),
        sink("out", lab.named("out"), "merge", keys=["day"], partition_by=["day"]),
        flow="raw>part>out",
        partitions=DAILY,
    )
    write(lab, (1, 1), (2, 2), (3, 3))
    lab.prepare(text, window=replace(day_window(1, 5), whole=True)).sink("out")
    write(lab, (2, 20), (4, 40))
    done = lab.prepare(text, window=replace(day_window(1, 5), whole=True)).sink("out")
    assert lab.rows("out") == on_days((1, 1), (2, 20), (3, 3), (4, 40))
    assert summary(done.snapshot)["drls.step"] == "out"

    write(lab, (1, 10), (5, 50))
    lab.prepare(text, window=day_window(5, 5)).sink("out")
    assert lab.rows("out") == on_days((1, 1), (2, 20), (3, 3), (4, 40), (5, 50))


@pytest.mark.parametrize("row", ["2024-01-03,3", ",9"], ids=["another day", "null"])
def test_d6_a_row_outside_of_the_window_fails_the_sink_and_publishes_nothing(lab: Lab, row: str) -> None:
    write(lab, (1, 1))
    lab.prepare(daily(lab), window=day_window(1, 1)).sink("out")
    lab.file("a.csv", f"day,n\n2024-01-01,7\n{row}\n")
    everything = daily(lab, "SELECT * FROM raw WHERE :partition_key IS NOT NULL")
    with pytest.raises(DrlsError, match=r"sink 'out': a row is outside the run's partition: day = ") as failed:
        lab.prepare(everything, window=day_window(1, 1)).sink("out")
    assert "filter by :partition_start and :partition_end" in str(failed.value)
    assert "\n" not in str(failed.value)
    assert lab.rows("out") == on_days((1, 1))
    assert lab.branches("out") == []


def test_d6_a_moving_ref_in_a_window_is_written_again_without_the_others_rows_being_lost(lab: Lab) -> None:
    write(lab, (1, 1), (2, 2))
    lab.prepare(daily(lab), window=day_window(1, 2)).sink("out")
    write(lab, (1, 1), (2, 22))
    insert = f"INSERT INTO {lab.spark_name('out')} VALUES (DATE'2024-01-02', 99), (DATE'2024-01-03', 33)"
    lab.prepare(daily(lab), window=day_window(2, 2)).sink("out", on("audited", lambda: lab.sql(insert)))
    assert lab.rows("out") == on_days((1, 1), (2, 22), (3, 33))


@pytest.mark.parametrize("layout", [["region"], []], ids=["partitioned by it", "not partitioned"])
def test_d6_static_partitions_replace_their_key_only(lab: Lab, layout: list[str]) -> None:
    text = lab.pipeline(
        files("raw", lab.path("*.csv"), region="string", n="int"),
        sql("part", "SELECT * FROM raw WHERE region = :partition_key"),
        sink("out", lab.named("out"), "overwrite_partitions", partition_by=layout),
        flow="raw>part>out",
        partitions={"kind": "static", "values": ["eu", "o'us"], "column": "region"},
    )
    lab.file("a.csv", "region,n\neu,1\no'us,2\n")
    for key in ("eu", "o'us"):
        lab.prepare(text, window=Window("region", (key,))).sink("out")
    lab.file("a.csv", "region,n\neu,10\n")
    lab.prepare(text, window=Window("region", ("o'us",))).sink("out")
    assert lab.rows("out") == [("eu", 1)]
    if not layout:
        ran = lab.run(text, partition="eu")
        assert ran.success, ran.failures
        assert lab.rows("out") == [("eu", 10)]


@pytest.mark.parametrize("kind", ["timestamp", "timestamp_ntz"])
def test_d6_hourly_windows_on_a_timestamp_column(lab: Lab, kind: str) -> None:
    text = lab.pipeline(
        files("raw", lab.path("*.csv"), at=kind, n="int"),
        sql("part", "SELECT * FROM raw WHERE at >= :partition_start AND at < :partition_end"),
        sink("out", lab.named("out"), "overwrite_partitions", partition_by=["day(at)"]),
        flow="raw>part>out",
        partitions={"kind": "hourly", "start": "2024-01-01T00:00", "end": "2024-01-01T04:00", "column": "at"},
    )
    rows = "at,n\n2024-01-01T00:30:00,1\n2024-01-01T01:00:00,2\n2024-01-01T01:59:59,3\n2024-01-01T02:00:00,4\n"
    lab.file("a.csv", rows)
    ran = lab.run(text, partition_range=("2024-01-01-00:00", "2024-01-01-03:00"))
    assert ran.success, ran.failures
    lab.file("a.csv", rows.replace(",3\n", ",30\n").replace(",4\n", ",40\n"))
    ran = lab.run(text, partition="2024-01-01-01:00")
    assert ran.success, ran.failures
    assert [n for (n,) in lab.rows("out", "n")] == [1, 2, 30, 4]


def test_d6_an_append_in_a_window_is_found_again_per_window(lab: Lab) -> None:
    """D7 with partitions: the key of a commit has the window in it."""
    write(lab, (1, 1), (2, 2))
    text = (
        daily(lab).replace("overwrite_partitions", "append").replace('"partition_by"', '"repeat": true, "partition_by"')
    )
    first = lab.prepare(text, window=day_window(1, 1))
    first.sink("out")
    lab.prepare(text, window=day_window(2, 2), run_key=first.run.run_key).sink("out")
    again = lab.prepare(text, window=day_window(1, 1), run_key=first.run.run_key).sink("out")
    assert again.repeated
    assert lab.rows("out") == on_days((1, 1), (2, 2))


def in_new_york(lab: Lab, kind: str, column: str, start: str, end: str, mode: str = "overwrite_partitions") -> str:
    more: dict[str, Any] = {"repeat": True} if mode == "append" else {}
    return lab.pipeline(
        files("raw", lab.path("*.csv"), at=column, n="int"),
        sql("part", "SELECT * FROM raw WHERE at >= :partition_start AND at < :partition_end"),
        sink("out", lab.named("out"), mode, partition_by=["day(at)"], **more),
        flow="raw>part>out",
        partitions={"kind": kind, "start": start, "end": end, "column": "at", "timezone": "America/New_York"},
    )


@pytest.mark.parametrize("mode", ["overwrite_partitions", "append"])
def test_d6_days_of_a_zone_are_the_same_in_sql_and_in_the_sink(lab: Lab, mode: str) -> None:
    """F6; failed on 0.1.0: SQL saw dates, which Spark takes for midnight in UTC."""
    text = in_new_york(lab, "daily", "timestamp", "2024-01-14", "2024-01-17", mode)
    lab.file("a.csv", "at,n\n2024-01-15T03:30:00Z,1\n2024-01-15T10:00:00Z,2\n2024-01-17T03:00:00Z,7\n")
    ran = lab.run(text, partition="2024-01-14")
    assert ran.success, ran.failures
    assert lab.rows("out", "n") == [(1,)]
    lab.file("a.csv", "at,n\n2024-01-15T10:00:00Z,2\n2024-01-17T03:00:00Z,7\n2024-01-17T05:00:00Z,8\n")
    ran = lab.run(text, partition_range=("2024-01-14", "2024-01-16"))
    assert ran.success, ran.failures
    assert lab.rows("out", "n") == ([(2,), (7,)] if mode == "overwrite_partitions" else [(1,), (2,), (7,)])


@pytest.mark.slow
def test_d6_each_wall_clock_row_of_the_hour_that_comes_twice_is_there_once(lab: Lab) -> None:
    """F7; failed on 0.1.0: the first hour had no rows, the second ended in an error of Iceberg's."""
    text = in_new_york(lab, "hourly", "timestamp_ntz", "2024-11-03T00:00", "2024-11-03T04:00")
    lab.file("a.csv", "at,n\n" + "".join(f"2024-11-03T0{hour}:30:00,{hour}\n" for hour in range(4)))
    for key, rows in (("00:00", 1), ("01:00", 2), ("01:00-0500", 2), ("02:00", 3), ("03:00", 4)):
        ran = lab.run(text, partition=f"2024-11-03-{key}")
        assert ran.success, ran.failures
        assert [n for (n,) in lab.rows("out", "n")] == list(range(rows))
    ran = lab.run(text, partition_range=("2024-11-03-00:00", "2024-11-03-03:00"))
    assert ran.success, ran.failures
    assert [n for (n,) in lab.rows("out", "n")] == [0, 1, 2, 3]


@pytest.mark.slow
def test_d6_windows_hold_where_spark_is_asked_from_another_time_zone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall clock literal was sent as an instant of the zone in which the process runs."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        text = in_new_york(lab, "daily", "timestamp_ntz", "2024-03-09", "2024-03-12")
        lab.file(
            "a.csv",
            "at,n\n2024-03-10T02:30:00,1\n2024-03-10T00:00:00,2\n2024-03-10T23:59:59,3\n2024-03-11T00:00:00,4\n",
        )
        spring = lab.prepare(
            text,
            window=Window(
                "at", ("2024-03-10",), datetime(2024, 3, 10, tzinfo=NEW_YORK), datetime(2024, 3, 11, tzinfo=NEW_YORK)
            ),
        )
        spring.sink("out")
        assert sorted(n for (n,) in lab.rows("out", "n")) == [1, 2, 3]
    finally:
        monkeypatch.undo()
        time.tzset()
