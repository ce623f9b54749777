"""The example of the custom step, in Python and bash, on its way to production: it says what DuckDB says."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from lifecycle_lab import PRODUCTION, QA, UAT, LifecycleLab

from drls_dagster.cli.demo_data import lay_out
from lifecycle.spec import load_pipeline

EXAMPLE = Path(__file__).parents[2] / "examples/commands"
DAYS = """
SELECT carrier, make_date(year, month, day) AS day, avg(dep_delay) AS mean_delay, count(*) AS departures
FROM read_csv('{file}', nullstr = 'NA', sample_size = -1) WHERE dep_delay IS NOT NULL GROUP BY ALL"""
STREAKS = """
WITH punctual AS (SELECT carrier, day, day - row_number() OVER (PARTITION BY carrier ORDER BY day)::int AS island
                  FROM days WHERE mean_delay < 15),
     streaks AS (SELECT carrier, min(day) AS first_day, count(*) AS days FROM punctual GROUP BY carrier, island)
SELECT carrier, first_day, days FROM streaks
QUALIFY row_number() OVER (PARTITION BY carrier ORDER BY days DESC, first_day) = 1 ORDER BY carrier"""
TOTALS = "SELECT carrier, sum(departures)::long FROM days GROUP BY carrier ORDER BY carrier"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_commands_go_through_qa_and_uat_to_production_and_equal_duckdbs_answer(life: LifecycleLab) -> None:
    for environment in (QA, UAT, PRODUCTION):
        folder = lay_out(Path(life.settings.landing_for(environment)))
    database = duckdb.connect()
    database.sql(f"CREATE TABLE days AS {DAYS.format(file=folder / 'flights.csv')}")
    spec = load_pipeline(EXAMPLE / "punctuality.yaml")
    life.name, life.ns = spec.name, "commands"
    for table in ("longest_streaks", "departures"):  # of an earlier run of this test
        if life.catalog.table_exists(life.identifier(table)):
            life.catalog.drop_table(life.identifier(table))
    number = life.ada.pipelines.save(spec, search_path=[EXAMPLE]).number
    (ran,) = life.walk(number, QA)
    assert ran.checks["every_airline"] == (True, "ERROR", "airlines: 16")
    assert ran.tables["streaks"]["reported/limit"] == 15
    life.walk(number, UAT, PRODUCTION)
    assert life.on("longest_streaks", "main") == database.sql(STREAKS).fetchall()
    assert life.on("departures", "main") == database.sql(TOTALS).fetchall()
    assert life.unanswered("departures", PRODUCTION) == []
