"""The flights example says what DuckDB says of the same files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from compared import assert_same, expected, rows_of

from drls_dagster.cli.demo_data import lay_out
from drls_dagster.launch import RunOutcome
from drls_dagster.settings import Settings

# Each flight with the weather of its origin's hour (calm, dry and clear where none was recorded), the
# great-circle distance in km (the file's miles where an airport's place is unknown), and a logistic risk of
# delay.
FLIGHT = """
CREATE VIEW scored AS
WITH placed AS (
  SELECT make_date(f.year, f.month, f.day) AS day, f.origin, f.carrier, f.tailnum, f.dep_delay, f.air_time,
         f.hour, coalesce(w.wind_speed, 0) AS wind_speed, coalesce(w.precip, 0) AS precip,
         coalesce(w.visib, 10) AS visib,
         coalesce(
           2 * 6371.0088 * asin(sqrt(
             pow(sin(radians(d.lat - o.lat) / 2), 2)
             + cos(radians(o.lat)) * cos(radians(d.lat)) * pow(sin(radians(d.lon - o.lon) / 2), 2))),
           f.distance * 1.609344) AS km
  FROM flights f
  LEFT JOIN weather w USING (origin, time_hour)
  LEFT JOIN airports o ON f.origin = o.faa
  LEFT JOIN airports d ON f.dest = d.faa
)
SELECT *, 2.1 - 0.11 * hour - 0.02 * wind_speed - 1.4 * precip + 0.06 * visib + 0.00008 * km AS against,
       1 / (1 + exp(against)) AS risk
FROM placed
"""
DAILY = """
SELECT day, origin, count(*) AS flights, count(*) FILTER (dep_delay IS NOT NULL) AS departed,
       sum(dep_delay) / count(dep_delay) AS mean_delay,
       count(*) FILTER (dep_delay > 15) / count(dep_delay) AS late_share, sum(risk) / count(*) AS mean_risk
FROM scored GROUP BY ALL HAVING count(*) >= 10
"""
AIRCRAFT = """
SELECT date_trunc('month', day)::date AS month, s.tailnum, a.name AS airline,
       any_value(p.manufacturer) AS manufacturer, any_value(p.model) AS model,
       any_value(p.seats)::int AS seats, count(*) AS flights, sum(km) AS km, sum(air_time) / 60.0 AS hours
FROM scored s JOIN airlines a USING (carrier) LEFT JOIN planes p ON p.tailnum = s.tailnum
WHERE s.tailnum IS NOT NULL AND dep_delay IS NOT NULL
GROUP BY 1, 2, 3
"""
CHECKS = {
    ("daily_delays", "row_count"): True,
    ("daily_delays", "not_null_day_origin_flights"): True,
    ("daily_delays", "unique_day_origin"): True,
    ("daily_delays", "accepted_values_origin"): True,
    ("daily_delays", "range_mean_risk"): True,
    (
        "daily_delays",
        "range_mean_delay",
    ): False,  # a warning: on some days departures were an hour late on average
    ("daily_delays", "in_2013"): True,
    ("aircraft_use", "not_null_month_tailnum_airline"): True,
    ("aircraft_use", "unique_month_tailnum_airline"): True,
}


@pytest.mark.timeout(600)
def test_both_tables_equal_what_duckdb_computes_and_a_second_run_changes_nothing(
    engine: Settings, run_example: Callable[..., RunOutcome]
) -> None:
    folder = lay_out(Path(engine.landing_for("development")))
    database = duckdb.connect()
    for name in ("flights", "weather", "airports", "planes", "airlines"):
        file = folder / f"{name}.csv"
        database.sql(f"CREATE VIEW {name} AS FROM read_csv('{file}', nullstr = 'NA', sample_size = -1)")
    database.sql(FLIGHT)
    daily = expected(database, DAILY, ["day", "origin"])
    aircraft = expected(database, AIRCRAFT, ["month", "tailnum", "airline"])
    late = sum(not -20 <= row["mean_delay"] <= 60 for row in daily if row["mean_delay"] is not None)

    for again in (False, True):
        outcome = run_example("flights/flights_daily.yaml", again=again, min_flights=10)

        assert_same(rows_of(engine, "flights.daily_delays", ["day", "origin"]), daily)
        assert_same(rows_of(engine, "flights.aircraft_use", ["month", "tailnum", "airline"]), aircraft)
        assert {(check["node"], check["check"]): check["passed"] for check in outcome.checks} == CHECKS
        (warning,) = [check for check in outcome.checks if not check["passed"]]
        assert (warning["severity"], warning["message"]) == ("warn", f"{late} row(s) fail")
        assert {table["name"]: table["rows"] for table in outcome.tables} == {
            "flights__development.daily_delays": len(daily),
            "flights__development.aircraft_use": len(aircraft),
        }
