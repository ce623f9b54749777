"""D6: a window is the same instants for dates, timestamps and wall clocks, in every zone and across clock changes."""

from __future__ import annotations

import bisect
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from drls_dagster.assets.partitions import partitions_definition, window_of
from drls_dagster.errors import DrlsError
from drls_dagster.steps.bounds_in_sql import with_bounds
from drls_dagster.steps.window import Bound, Window, wall_clock
from lifecycle.spec import PipelineSpec, parse_pipeline

Kind = Literal["hourly", "daily", "weekly", "monthly"]
# Changes of half an hour, at midnight (both ways), of two hours, of a whole day, not at full hours; and none at all.
ZONES = (
    "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "America/Havana", "Asia/Beirut",
    "Africa/Cairo", "Antarctica/Troll", "Pacific/Apia", "Pacific/Chatham", "Africa/Casablanca", "Asia/Kolkata", "UTC",
)  # fmt: skip
FIRST, LAST = datetime(2009, 6, 1), datetime(2019, 7, 1)  # a Monday, ten years later a Monday; both first of a month
NEW_YORK = ZoneInfo("America/New_York")


def pipeline(kind: Kind, zone: str, start: str, end: str, column_type: str = "timestamp") -> PipelineSpec:
    return parse_pipeline(
        json.dumps(
            {
                "format_version": 1,
                "name": "windows",
                "partitions": {"kind": kind, "start": start, "end": end, "column": "at", "timezone": zone},
                "nodes": [
                    {
                        "id": "raw",
                        "type": "source",
                        "source": {"kind": "files", "format": "csv", "path": "*.csv", "schema": {"at": column_type}},
                    },
                    {"id": "out", "type": "sink", "table": "a.b", "mode": "append", "repeat": True},
                ],
                "edges": [{"from": "raw", "to": "out"}],
            }
        )
    )


def window(spec: PipelineSpec, *keys: str) -> Window:
    tags = {"dagster/partition": keys[0]}
    if len(keys) > 1:
        tags = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    found = window_of(dg.DagsterRun(job_name="windows", tags=tags), spec)
    assert found is not None
    return found


@lru_cache
def stretches(kind: Kind, zone: str) -> tuple[tuple[Window, ...], ...]:
    """Windows that follow each other: all of ten years; of hours, those around every change of the clock in them.

    In between an hour is like any other: of those, a day of each month.
    """
    if kind != "hourly":
        return (_windows(kind, zone, FIRST, LAST),)
    ends = itertools.chain(_around_changes(zone), _days_of_months())
    return tuple(_windows(kind, zone, first, last) for first, last in ends)


def _around_changes(zone: str) -> Iterator[tuple[datetime, datetime]]:
    """Three days around each change, looked for in every quarter of an hour, which no zone has two changes in."""
    known, step = ZoneInfo(zone), timedelta(minutes=15)
    at, last = FIRST.replace(tzinfo=UTC), LAST.replace(tzinfo=UTC)
    end = at.replace(tzinfo=None)
    while at < last:
        if at.astimezone(known).utcoffset() != (at + step).astimezone(known).utcoffset():
            day = at.replace(hour=0, minute=0, tzinfo=None)
            first = max(day - timedelta(days=1), end)
            end = day + timedelta(days=3)
            yield first, end
        at += step


def _days_of_months() -> Iterator[tuple[datetime, datetime]]:
    for month in range((LAST.year - FIRST.year) * 12):
        day = datetime(FIRST.year + (FIRST.month - 1 + month) // 12, (FIRST.month - 1 + month) % 12 + 1, 15)
        yield day, day + timedelta(days=1)


def _windows(kind: Kind, zone: str, first: datetime, last: datetime) -> tuple[Window, ...]:
    spec = pipeline(kind, zone, first.isoformat(), last.isoformat())
    definition = partitions_definition(spec)
    assert isinstance(definition, dg.TimeWindowPartitionsDefinition)
    found: list[Window] = []
    for key in definition.get_partition_keys():
        span = definition.time_window_for_partition_key(key)
        found.append(Window("at", (key,), span.start, span.end, hourly=kind == "hourly"))
    # As `window_of` does, which is too slow for ten years of hours; two tests below show that it does.
    return tuple(
        Window(
            "at",
            one.keys,
            min(_some(one.start), _some(before.end), key=datetime.timestamp),
            min(_some(one.end), _some(after.start), key=datetime.timestamp),
            one.hourly,
        )
        for before, one, after in zip(found, found[1:], found[2:], strict=False)
    )


def _some(moment: datetime | None) -> datetime:
    assert moment is not None
    return moment


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("kind", ["hourly", "daily", "weekly", "monthly"])
def test_d6_every_instant_and_every_wall_clock_value_has_one_window(kind: Kind, zone: str) -> None:
    """Finding 25: on 0.1.0 the hour that comes twice was an empty window and its rows were in none."""
    for one, after in itertools.chain.from_iterable(map(itertools.pairwise, stretches(kind, zone))):
        assert _some(one.end).timestamp() == _some(after.start).timestamp()
        assert one.bounds("timestamp_ntz", "")[1] == after.bounds("timestamp_ntz", "")[0]
        assert one.bounds("timestamp_ntz", "")[0] <= one.bounds("timestamp_ntz", "")[1]
        if kind != "hourly":
            assert wall_clock(_some(one.start)).time() == datetime.min.time(), "days begin at midnight, dates or not"


@pytest.mark.slow
@given(
    zone=st.sampled_from(ZONES),
    kind=st.sampled_from(["hourly", "daily", "weekly", "monthly"]),
    which=st.integers(0),
    share=st.floats(0, 0.9999, exclude_max=True),
)
@hypothesis_settings(max_examples=400)
def test_d6_a_wall_clock_value_that_exists_is_in_the_window_of_its_instant(
    zone: str, kind: Kind, which: int, share: float
) -> None:
    found = stretches(kind, zone)[which % len(stretches(kind, zone))]
    walls = [wall_clock(_some(one.start)) for one in found]
    instants = [_some(one.start).timestamp() for one in found]
    value = walls[0] + (wall_clock(_some(found[-1].end)) - walls[0]) * share
    aware = value.replace(tzinfo=ZoneInfo(zone))
    if aware.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != value:
        return  # the clock skipped it; it has a window, as the test above shows
    assert bisect.bisect_right(walls, value) == bisect.bisect_right(instants, aware.timestamp())


@pytest.mark.parametrize(
    ("zone", "instant", "wall"),
    [
        ("America/New_York", "2024-11-03T05:00Z", "2024-11-03T01:00"),  # first 1 am
        ("America/New_York", "2024-11-03T06:00Z", "2024-11-03T02:00"),  # second 1 am: its values belong to the first
        ("America/New_York", "2024-03-10T07:00Z", "2024-03-10T02:00"),  # 3 am: the skipped hour belongs to it
        ("America/Sao_Paulo", "2018-11-04T03:00Z", "2018-11-04T00:00"),  # a day without midnight
        ("America/Havana", "2024-11-03T04:00Z", "2024-11-03T00:00"),  # a day with two
        ("Australia/Lord_Howe", "2024-04-06T15:00Z", "2024-04-07T02:00"),  # back by half an hour
        ("Asia/Kolkata", "2024-01-14T18:30Z", "2024-01-15T00:00"),
        ("America/Nuuk", "2024-03-31T01:00Z", "2024-03-31T00:00"),  # from 23:00 to midnight
        ("Asia/Pyongyang", "2018-05-04T15:00Z", "2018-05-05T00:00"),  # the same by half an hour
        ("Europe/Moscow", "1918-05-31T19:28:41Z", "1918-06-01T00:00"),  # from 22:00 to one minute after midnight
        ("Pacific/Apia", "2011-12-30T10:00Z", "2011-12-30T00:00"),  # from midnight to midnight
    ],
)
def test_wall_clocks_at_changes(zone: str, instant: str, wall: str) -> None:
    moment = datetime.fromisoformat(instant).astimezone(ZoneInfo(zone))
    assert wall_clock(moment) == datetime.fromisoformat(wall)


def test_a_day_that_a_zone_skipped_has_no_rows_of_the_day_after() -> None:
    """Samoa had no 30 December 2011. A date column may say it: the day after has it."""
    spec = pipeline("daily", "Pacific/Apia", "2011-12-28", "2012-01-03")
    assert window(spec, "2011-12-30").is_empty("timestamp")
    assert window(spec, "2011-12-30").is_empty("date")
    assert window(spec, "2011-12-31").bounds("date", "") == ("DATE'2011-12-30'", "DATE'2012-01-01'")
    assert window(spec, "2011-12-29").bounds("date", "") == ("DATE'2011-12-29'", "DATE'2011-12-30'")


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        *(("America/Nuuk", "2024-03-30"), ("Asia/Pyongyang", "2018-05-04"), ("Asia/Singapore", "1981-12-31")),
        *(("Europe/Moscow", "1917-07-01"), ("Europe/Moscow", "1918-05-31"), ("America/Sao_Paulo", "2018-11-03")),
    ],
)
def test_d6_a_day_whose_last_hour_is_skipped_keeps_its_rows(zone: str, day: str) -> None:
    """Finding 25: the window of such a day had no date in it, and the day after had the dates of both."""
    first = date.fromisoformat(day)
    days = [(first + timedelta(days=number)).isoformat() for number in range(4)]
    spec = pipeline("daily", zone, (first - timedelta(days=2)).isoformat(), days[3])
    for key, after in itertools.pairwise(days):
        assert window(spec, key).bounds("date", "") == (f"DATE'{key}'", f"DATE'{after}'")
        walls = (f"TIMESTAMP_NTZ'{key} 00:00:00'", f"TIMESTAMP_NTZ'{after} 00:00:00'")
        assert window(spec, key).bounds("timestamp_ntz", "") == walls


def test_half_an_hour_that_a_clock_skipped_leaves_no_hole_between_windows() -> None:
    """Finding 25; failed before in pipelines that begin in winter: Dagster has that half hour in no partition."""
    spec = pipeline("hourly", "Australia/Lord_Howe", "2009-10-02T00:00", "2009-10-05T00:00")
    definition = partitions_definition(spec)
    assert definition is not None
    keys = definition.get_partition_keys()
    around = keys[keys.index("2009-10-04-00:00") : keys.index("2009-10-04-00:00") + 5]
    found = [window(spec, key) for key in around]
    assert all(one.end == after.start for one, after in itertools.pairwise(found))


def test_a_window_says_what_it_is_for_each_type() -> None:
    """F6."""
    day = window(pipeline("daily", "America/New_York", "2024-01-14", "2024-01-17"), "2024-01-14")
    assert day.bounds("date", "") == ("DATE'2024-01-14'", "DATE'2024-01-15'")
    assert day.bounds("timestamp", "") == ("TIMESTAMP'2024-01-14 05:00:00Z'", "TIMESTAMP'2024-01-15 05:00:00Z'")
    assert day.bounds("timestamp_ntz", "") == (
        "TIMESTAMP_NTZ'2024-01-14 00:00:00'",
        "TIMESTAMP_NTZ'2024-01-15 00:00:00'",
    )


def test_the_hour_that_comes_twice_is_said_for_wall_clocks_only() -> None:
    """F7."""
    spec = pipeline("hourly", "America/New_York", "2024-11-03T00:00", "2024-11-03T04:00")
    first, second, later = (
        window(spec, key) for key in ("2024-11-03-01:00", "2024-11-03-01:00-0500", "2024-11-03-02:00")
    )
    assert (first.is_empty("timestamp_ntz"), second.is_empty("timestamp_ntz")) == (False, True)
    assert not second.is_empty("timestamp")
    assert "shows 2024-11-03 01:00 twice" in str(second.repeated_hours("timestamp_ntz"))
    assert second.repeated_hours("timestamp") is None
    assert later.repeated_hours("timestamp_ntz") is None or "twice" in str(later.repeated_hours("timestamp_ntz"))
    assert window(spec, "2024-11-03-03:00").repeated_hours("timestamp_ntz") is None


def test_in_utc_sql_sees_dates_and_hours_as_before() -> None:
    days = window(pipeline("daily", "UTC", "2024-01-01", "2024-02-01"), "2024-01-02", "2024-01-04")
    assert days.arguments() == {
        "partition_key": "2024-01-02",
        "partition_start": date(2024, 1, 2),
        "partition_end": date(2024, 1, 5),
    }
    hours = window(pipeline("hourly", "UTC", "2024-01-01T00:00", "2024-01-02T00:00"), "2024-01-01-03:00")
    assert hours.arguments()["partition_end"] - hours.arguments()["partition_start"] == timedelta(hours=1)


SCHEMAS = {
    "raw": {"at": "timestamp", "wall": "timestamp_ntz", "day": "date", "name": "string", "s": "struct<at:timestamp>"},
    "more": {"when_": "timestamp"},
}
INSTANT, WALL, DAY = "TIMESTAMP'2024-01-14 05:00:00Z'", "TIMESTAMP_NTZ'2024-01-14 00:00:00'", "DATE'2024-01-14'"


@pytest.mark.parametrize(
    ("sql", "literals"),
    [
        ("SELECT * FROM raw WHERE at >= :partition_start", [INSTANT]),
        ("SELECT * FROM raw WHERE wall >= :partition_start", [WALL]),
        ("SELECT * FROM raw WHERE day >= :partition_start", [DAY]),
        ("SELECT * FROM raw r WHERE :partition_start <= r.`at`", [INSTANT]),
        ("SELECT * FROM raw WHERE day BETWEEN :partition_start AND :partition_start", [DAY, DAY]),
        ("SELECT * FROM raw WHERE NOT at < (:partition_start - INTERVAL 7 DAYS)", [INSTANT]),
        ("SELECT * FROM raw WHERE to_date(at) >= :partition_start", [DAY]),
        ("SELECT * FROM raw WHERE CAST(at AS date) >= :partition_start OR date(at) = :partition_start", [DAY, DAY]),
        ("SELECT * FROM raw WHERE date_trunc('hour', at) >= :partition_start", [INSTANT]),
        ("SELECT * FROM raw WHERE coalesce(wall, wall) >= :partition_start", [WALL]),
        ("SELECT * FROM raw WHERE at >= coalesce(:partition_start, at)", [INSTANT]),
        ("WITH x AS (SELECT at AS t, day AS d FROM raw) SELECT * FROM x WHERE t > :partition_start AND d > :partition_start", [INSTANT, DAY]),
        ("SELECT * FROM (SELECT wall AS w FROM raw) q WHERE q.w >= :partition_start", [WALL]),
        ("SELECT * FROM raw JOIN more ON raw.at = more.when_ AND when_ >= :partition_start", [INSTANT]),
        ("SELECT * FROM raw WHERE at > :partition_start UNION ALL SELECT * FROM raw WHERE day > :partition_start", [INSTANT, DAY]),
        ("SELECT * FROM raw WHERE EXISTS (SELECT 1 FROM more WHERE more.when_ > :partition_start AND raw.day > :partition_start)", [INSTANT, DAY]),
        ("SELECT sum(CASE WHEN at >= :partition_start THEN 1 END) OVER (PARTITION BY day) FROM raw", [INSTANT]),
        ("SELECT CAST(:partition_start AS timestamp), CAST(:partition_start AS DATE) FROM raw", [INSTANT, DAY]),
        ("SELECT :partition_start AS day, date_add(:partition_start, 1) FROM raw", [DAY, DAY]),
        ("SELECT * FROM raw WHERE name = :partition_start", [DAY]),
        ("SELECT * FROM raw WHERE unknown_function(at) >= :partition_start", [INSTANT]),
        ("SELECT * FROM raw WHERE unknown_function() >= :partition_start", [INSTANT]),  # by the partitions' column
        ("SELECT * FROM raw -- at >= :partition_start\nWHERE name <> ':partition_start' AND at >= :partition_start", [INSTANT]),
        ("SELECT * FROM raw LATERAL VIEW explode(array(1)) t AS x WHERE at >= :partition_start", [INSTANT]),
        ("SELECT count_if(at < :partition_start) = 0 FROM raw", [INSTANT]),
        ("SELECT greatest(at, :partition_start), coalesce(wall, :partition_start) FROM raw", [INSTANT, WALL]),
        ("SELECT * FROM raw WHERE (wall, at) >= (:partition_start, :partition_start)", [WALL, INSTANT]),
        ("SELECT * FROM raw WHERE (at, day) IN ((:partition_start, :partition_start))", [INSTANT, DAY]),
        ("SELECT * FROM raw WHERE unix_timestamp(at) >= unix_timestamp(:partition_start)", [INSTANT]),
        ("SELECT * FROM raw WHERE unix_millis(at) >= unix_millis(:partition_start)", [INSTANT]),
        ("SELECT * FROM raw WHERE unix_timestamp(day) BETWEEN unix_timestamp(:partition_start) AND unix_timestamp(:partition_start)", [DAY, DAY]),
    ],
)  # fmt: skip
def test_d6_sql_sees_the_bound_as_what_it_is_compared_with(sql: str, literals: list[str]) -> None:
    """Finding 25: on 0.1.0 all of them were a date, which Spark takes for midnight in UTC."""
    bounds = {"partition_start": Bound(datetime(2024, 1, 14, tzinfo=NEW_YORK), "at")}
    bound = with_bounds(sql, bounds, SCHEMAS)
    wanted = iter(literals)
    expected = "".join(
        part if at == 0 or part.startswith(("'", "\nWHERE")) else next(wanted) + part
        for at, part in enumerate(sql.split(":partition_start"))
    )
    if "--" in sql:
        assert bound.count(INSTANT) == 1
        assert bound.count(":partition_start") == 2
        assert bound.count("\n") == sql.count("\n")
    else:
        assert bound == expected


@pytest.mark.parametrize(
    ("sql", "literals"),
    [
        ("SELECT * FROM raw JOIN (VALUES (:partition_start, 1)) v(t, n) ON raw.at >= v.t", [INSTANT]),
        ("SELECT * FROM raw, VALUES (:partition_start, :partition_start) AS v(a, b) WHERE wall >= a AND day < b", [WALL, DAY]),
        ("SELECT * FROM raw WHERE at >= (SELECT a FROM VALUES (:partition_start) v(a))", [INSTANT]),
        ("SELECT * FROM raw WHERE at IN (SELECT col1 FROM VALUES (:partition_start))", [INSTANT]),
        ("WITH w AS (SELECT :partition_start AS a) SELECT * FROM raw, w x WHERE at >= x.a", [INSTANT]),
        ("WITH w(a) AS (SELECT :partition_start), v AS (SELECT a AS b FROM w) SELECT * FROM raw, v WHERE wall >= b", [WALL]),
        ("WITH w AS (SELECT :partition_start AS a UNION ALL SELECT DATE'2024-01-01') SELECT * FROM raw, w WHERE at >= a", [INSTANT]),
        ("SELECT * FROM raw JOIN (SELECT :partition_start AS a) w ON raw.day >= w.a", [DAY]),
        ("SELECT * FROM raw WHERE at >= (SELECT :partition_start)", [INSTANT]),
        ("SELECT * FROM raw WHERE datediff(at, :partition_start) >= 0", [INSTANT]),
        ("SELECT * FROM raw WHERE datediff(:partition_start, wall) <= 0 AND datediff(day, :partition_start) >= 0", [WALL, DAY]),
        ("SELECT * FROM raw WHERE datediff(to_date(at), :partition_start) >= 0", [DAY]),
        ("SELECT * FROM raw WHERE timestampdiff(HOUR, :partition_start, at) >= 0", [INSTANT]),
        ("SELECT * FROM raw WHERE at - :partition_start >= INTERVAL '0' SECOND", [INSTANT]),
        ("SELECT * FROM raw WHERE at >= CASE WHEN name = 'a' THEN :partition_start ELSE at END", [INSTANT]),
        ("SELECT * FROM raw WHERE wall >= if(name = 'a', :partition_start, NULL)", [WALL]),
        ("SELECT * FROM raw WHERE array_contains(array(:partition_start), at)", [INSTANT]),
        ("WITH w AS (SELECT :partition_start AS a) SELECT a AS day FROM w", [DAY]),
    ],
)  # fmt: skip
def test_d6_a_bound_is_followed_to_where_it_is_compared(sql: str, literals: list[str]) -> None:
    """Finding 25; failed before: through VALUES, WITH, a subquery or a difference it was a date, midnight in UTC."""
    bounds = {"partition_start": Bound(datetime(2024, 1, 14, tzinfo=NEW_YORK), "at")}
    wanted = iter(literals)
    expected = "".join(
        part if at == 0 else next(wanted) + part for at, part in enumerate(sql.split(":partition_start"))
    )
    assert with_bounds(sql, bounds, SCHEMAS) == expected


def test_d6_a_bound_that_would_have_to_be_two_values_is_refused() -> None:
    """Finding 25; failed before: one of the two comparisons meant another moment."""
    bounds = {"partition_start": Bound(datetime(2024, 1, 14, tzinfo=NEW_YORK), "at")}
    sql = "WITH w AS (SELECT :partition_start AS a) SELECT * FROM raw, w WHERE at >= a AND day >= a"
    with pytest.raises(DrlsError, match=r"compare it with date and timestamp, .*write :partition_start or"):
        with_bounds(sql, bounds, SCHEMAS)


def test_hours_are_timestamps_where_nothing_says_otherwise() -> None:
    bounds = {"partition_end": Bound(datetime(2024, 1, 14, 3, tzinfo=NEW_YORK), "at", hourly=True)}
    for sql in ("SELECT :partition_end FROM raw", "SELECT * FROM raw WHERE day < :partition_end"):
        assert "TIMESTAMP'2024-01-14 08:00:00Z'" in with_bounds(sql, bounds, SCHEMAS)
    assert "TIMESTAMP_NTZ'2024-01-14 03:00:00'" in with_bounds(
        "SELECT * FROM raw WHERE wall < :partition_end", bounds, SCHEMAS
    )
