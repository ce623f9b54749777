"""What the flights example computes, as DuckDB says it of the same files."""

from __future__ import annotations

from pathlib import Path

import duckdb

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


def open_flights(folder: Path) -> duckdb.DuckDBPyConnection:
    """The files as tables, and `scored`, what DAILY and AIRCRAFT start from."""
    database = duckdb.connect()
    for name in ("flights", "weather", "airports", "planes", "airlines"):
        file = folder / f"{name}.csv"
        database.sql(f"CREATE VIEW {name} AS FROM read_csv('{file}', nullstr = 'NA', sample_size = -1)")
    database.sql(FLIGHT)
    return database
