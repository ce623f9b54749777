"""The flights example says what DuckDB says of the same files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compared import assert_same, expected, rows_of
from flights_sql import AIRCRAFT, DAILY, open_flights

from drls_dagster.cli.demo_data import lay_out
from drls_dagster.cli.main import run
from drls_dagster.launch.progress import RunOutcome
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment

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
    engine: Settings,
    run_example: Callable[..., RunOutcome],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")  # the command sets it for its process, which here is that of the tests
    database = open_flights(lay_out(Path(engine.landing_for(Environment.DEVELOPMENT))))
    daily = expected(database, DAILY, ["day", "origin"])
    aircraft = expected(database, AIRCRAFT, ["month", "tailnum", "airline"])
    late = sum(not -20 <= row["mean_delay"] <= 60 for row in daily if row["mean_delay"] is not None)

    def check(outcome: dict[str, Any]) -> None:
        assert_same(rows_of(engine, "flights.daily_delays", ["day", "origin"]), daily)
        assert_same(rows_of(engine, "flights.aircraft_use", ["month", "tailnum", "airline"]), aircraft)
        assert {(check["node"], check["check"]): check["passed"] for check in outcome["checks"]} == CHECKS
        (warning,) = [check for check in outcome["checks"] if not check["passed"]]
        assert (warning["severity"], warning["message"]) == ("warn", f"{late} row(s) fail")
        assert {table["name"]: table["rows"] for table in outcome["tables"]} == {
            "flights__development.daily_delays": len(daily),
            "flights__development.aircraft_use": len(aircraft),
        }

    check(vars(run_example("flights/flights_daily.yaml", min_flights=10)))
    capsys.readouterr()
    assert run(["demo", "--quick", "--json"]) == 0
    check(json.loads(capsys.readouterr().out))
