"""`drls demo` tells its whole story, and what it says is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from compared import assert_same, expected, rows_of
from flights_sql import AIRCRAFT, DAILY, open_flights

from drls_dagster.cli.main import run
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment

# What each scene must say, in the product's own words where it refuses.
TOLD = [
    "LeadDataEngineers of NAME, and of nothing else",
    "NAME v1, sha256:",
    "aircraft_use 3,149 rows",
    "DRLS did not let NAME run in production: NAME v1 is not active in production",
    "aircraft_use 3,149 rows",
    "contributed to what request",
    "daily_delays 276 rows",
    "is stale, because its plan is out of date: policy: ",
    "daily_delays: snapshot none → ",
    "9 of 9 checks passed",
    "NAME.daily_delays was not published: range_mean_risk: ",
    "9 of 9 checks passed",
    "daily_delays 276 rows",
    "v3 is production: 0 bytes copied, 0 data files written",
    "v1 is production again: 0 bytes copied, 0 data files written",
    "it is intact: ",
]
SUMMER = "CREATE VIEW summer AS FROM scored WHERE month(day) BETWEEN 6 AND 8"


@pytest.mark.timeout(600)
def test_the_demo_goes_from_a_file_to_production_and_back_and_copies_nothing(
    engine: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRLS_HOME", str(engine.home))
    monkeypatch.setenv("DAGSTER_HOME", "")  # the command sets it for its process, which here is that of the tests
    assert run(["demo", "--json"]) == 0
    scenes = json.loads(capsys.readouterr().out)

    assert [scene["number"] for scene in scenes] == list(range(1, len(TOLD) + 1))
    assert {scene["who"] for scene in scenes} == {"The Admin", "Ada", "Grace"}
    assert all(scene["what"] and scene["seconds"] >= 0 for scene in scenes)
    (name,) = re.findall(r"flights_demo\w*", scenes[0]["outcome"])
    for scene, told in zip(scenes, TOLD, strict=True):
        assert told.replace("NAME", name) in scene["outcome"]
    copied = [re.findall(r"(\d+) bytes copied", scene["outcome"]) for scene in scenes]
    assert [found for found in copied if found] == [["0"], ["0"], ["0"]]

    database = open_flights(Path(engine.landing_for(Environment.PRODUCTION)) / "flights")
    database.sql(SUMMER)
    daily = expected(database, DAILY.replace("scored", "summer"), ["day", "origin"])
    aircraft = expected(database, AIRCRAFT.replace("scored", "summer"), ["month", "tailnum", "airline"])
    assert_same(rows_of(engine, f"{name}.daily_delays", ["day", "origin"], "production"), daily)
    assert_same(rows_of(engine, f"{name}.aircraft_use", ["month", "tailnum", "airline"], "production"), aircraft)

    assert _active(name, capsys) == {"development": 3, "qa": 3, "uat": 3, "production": 1}
    released = [ref for ref in load_catalog(engine).load_table(f"{name}.daily_delays").refs() if "release" in ref]
    assert len(released) == 3  # v1, v3, and v1 again
    assert run(["audit", "verify"]) == 0


def _active(name: str, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    capsys.readouterr()
    assert run(["env", "--pipeline", name, "--json"]) == 0
    return {one["environment"]: one["version"] for one in json.loads(capsys.readouterr().out)["active"]}
