"""The example of a database source on its way to production: it says what DuckDB says, and its connection decides carry."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from lifecycle_lab import PRODUCTION, QA, UAT, LifecycleLab
from shop import Database

from drls_dagster.cli.demo_data import lay_out
from lifecycle.domain.plan import Carry
from lifecycle.spec import load_pipeline

EXAMPLE = Path(__file__).parents[3] / "examples/databases/airline_delays.yaml"
SAYS = """
SELECT f.carrier, a.name, count(*)::bigint AS flights, round(sum(f.arr_delay) / count(*), 2) AS mean_delay
FROM read_csv('{folder}/flights.csv', nullstr = 'NA', sample_size = -1) f
JOIN read_csv('{folder}/airlines.csv') a USING (carrier)
WHERE f.arr_delay IS NOT NULL GROUP BY ALL HAVING count(*) >= 100 ORDER BY f.carrier"""


@pytest.mark.timeout(900)
def test_l4_a_database_source_goes_to_production_with_the_reviewed_rows_and_equals_duckdbs_answer(
    life: LifecycleLab, database: Database, tmp_path: Path
) -> None:
    folder = lay_out(tmp_path)
    database.do(
        "DROP TABLE IF EXISTS flights, airlines",
        "CREATE TABLE flights (month int, carrier text, arr_delay double precision)",
        "CREATE TABLE airlines (carrier text PRIMARY KEY, name text)",
    )
    own = folder / "few.csv"
    columns = "month, carrier, arr_delay"
    duckdb.sql(f"COPY (SELECT {columns} FROM read_csv('{folder}/flights.csv', nullstr='NA')) TO '{own}' (NULLSTR '')")
    database.load("flights", own)
    database.load("airlines", folder / "airlines.csv")
    spec = load_pipeline(EXAMPLE)
    life.name, life.ns = spec.name, "databases"
    number = life.ada.pipelines.save(spec, search_path=[EXAMPLE.parent]).number
    life.walk(number, QA, UAT)
    database.do("DELETE FROM flights")  # what was reviewed in UAT is what production gets
    asked = life.ask(number, PRODUCTION)
    assert life.lea.promotions.show(asked.id).plan.carry is Carry.SNAPSHOT
    life.approve(asked)
    assert life.on("carrier_delays", "main") == duckdb.sql(SAYS.format(folder=folder)).fetchall()
    assert life.unanswered("carrier_delays", PRODUCTION) == []
