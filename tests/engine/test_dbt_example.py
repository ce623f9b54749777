"""The example of the dbt step on its way to production: it says what DuckDB says."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from lifecycle_lab import PRODUCTION, QA, UAT, LifecycleLab

from drls_dagster.cli.demo_data import lay_out
from lifecycle.spec import load_pipeline

EXAMPLE = Path(__file__).parents[2] / "examples/dbt"
SAYS = """
SELECT f.carrier, a.name, count(*)::bigint AS flights, round(sum(f.arr_delay) / count(*), 2) AS mean_delay
FROM read_csv('{folder}/flights.csv', nullstr = 'NA', sample_size = -1) f
JOIN read_csv('{folder}/airlines.csv') a USING (carrier)
WHERE f.arr_delay IS NOT NULL GROUP BY ALL HAVING count(*) >= 100 ORDER BY f.carrier"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_dbt_project_goes_through_qa_and_uat_to_production_and_equals_duckdbs_answer(life: LifecycleLab) -> None:
    for environment in (QA, UAT, PRODUCTION):
        folder = lay_out(Path(life.settings.landing_for(environment)))
    spec = load_pipeline(EXAMPLE / "delays.yaml")
    life.name, life.ns = spec.name, "dbt"
    if life.catalog.table_exists(life.identifier("carrier_delays")):  # of an earlier run of this test
        life.catalog.drop_table(life.identifier("carrier_delays"))
    number = life.ada.pipelines.save(spec, search_path=[EXAMPLE]).number
    (ran,) = life.walk(number, QA)
    assert ran.checks["unique_carrier_delays_carrier"][0]
    life.walk(number, UAT, PRODUCTION)
    assert life.on("carrier_delays", "main") == duckdb.sql(SAYS.format(folder=folder)).fetchall()
    assert life.unanswered("carrier_delays", PRODUCTION) == []
