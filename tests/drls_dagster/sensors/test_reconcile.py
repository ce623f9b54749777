"""The reconcile sensor: runs and permits that ended, drift, and debris of real tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import catalog_locations, load_catalog
from drls_dagster.ledger import RunTakenForDead, open_ledger
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.runs.handover import hand_over
from drls_dagster.runs.token import RunToken
from drls_dagster.sensors.debris import clear_debris
from drls_dagster.sensors.heads import Heads
from drls_dagster.sensors.reconcile import put_right
from drls_dagster.settings import Settings, load_settings
from lifecycle.ports import RunState
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import PRODUCTION, QA, Life


@pytest.fixture
def settings(drls_home: Path) -> Settings:
    return load_settings(drls_home)


def test_l11_l15_a_run_that_ended_silently_is_closed_and_a_foreign_write_is_drift(
    life: Life, settings: Settings
) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    run_id = life.begin(version, QA)
    life.clock.advance(minutes=5)
    life.dagster.states[run_id] = RunState.ENDED
    life.plane.commit("flights.daily", "qa")
    life.dagster.states["starts"] = RunState.ACTIVE
    for one in (run_id, "starts"):
        hand_over(settings, one, RunToken("a token that nobody took"), "unix:/nowhere")
    assert put_right(life.ctx, settings) == "1 run(s) had ended; drift on qa of flights.daily"
    assert [one.name for one in (settings.home / "run-tokens").iterdir()] == ["starts"]
    assert put_right(life.ctx, settings) == "everything is in order"


def test_d13_branches_of_dead_runs_go_and_those_of_living_ones_stay(settings: Settings) -> None:
    catalog = load_catalog(settings)
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.sales", pa.schema([("a", pa.int64())]))
    table.append(pa.table({"a": [1]}))
    base = refs.head(table, "main")
    assert base is not None
    kept = open_ledger(settings)
    for name in ("dead", "living", "unlisted", "inspected"):
        refs.create_branch(catalog, table, name, base)
    for name in ("living", "inspected"):
        kept.open_branch("shop.sales", name, "run", "session", "no engine")
    kept.keep_branch("shop.sales", "inspected", now=0)
    _die_with_a_branch("dead")

    assert sorted(clear_debris(settings)) == ["shop.sales:dead", "shop.sales:inspected"]

    left = catalog.load_table("shop.sales").metadata.refs
    assert {"living", "unlisted", "main"} <= set(left)
    assert not {"dead", "inspected"} & set(left)
    assert clear_debris(settings) == []
    kept.close()


@dg.op
def nothing() -> None:
    pass


@dg.job
def job() -> None:
    nothing()


def test_d13_a_run_that_dagster_calls_cancelled_is_dead_though_its_process_lives(settings: Settings) -> None:
    catalog = load_catalog(settings)
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.sales", pa.schema([("a", pa.int64())]))
    table.append(pa.table({"a": [1]}))
    base = refs.head(table, "main")
    assert base is not None
    ledger, instance = open_ledger(settings), instance_of(settings)
    runs: dict[str, str] = {}
    for name, status in (("cancelled", dg.DagsterRunStatus.CANCELED), ("running", dg.DagsterRunStatus.STARTED)):
        runs[name] = instance.create_run_for_job(job, status=status).run_id
        refs.create_branch(catalog, table, name, base)
        ledger.open_branch("shop.sales", name, runs[name], "session", "no engine")

    assert clear_debris(settings) == ["shop.sales:cancelled"]
    assert set(catalog.load_table("shop.sales").metadata.refs) == {"main", "running"}
    ledger.require_alive(runs["running"])
    with pytest.raises(RunTakenForDead):
        ledger.open_branch("shop.sales", "again", runs["cancelled"], "session", "no engine")


def _die_with_a_branch(name: str) -> None:
    """A process that opens a branch and is gone."""
    script = (
        "from drls_dagster.ledger import open_ledger; from drls_dagster.settings import load_settings; "
        f"open_ledger(load_settings()).open_branch('shop.sales', {name!r}, 'run', 'session', 'no engine')"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_tables_are_looked_at_again_only_when_the_catalog_says_that_they_changed(
    settings: Settings, tmp_path: Path
) -> None:
    catalog = load_catalog(settings)
    catalog.create_namespace("shop")
    table = catalog.create_table("shop.sales", pa.schema([("a", pa.int64())]))
    asked: list[str] = []

    class Plane(FakePlane):
        def table(self, table, environment):
            asked.append(table)
            return super().table(table, environment)

    plane = Plane(tmp_path / "plane.db")
    heads = Heads(PRODUCTION, lambda: catalog_locations(settings))
    assert heads.of(plane, ["shop.sales", "shop.other"]) == {"shop.sales": None, "shop.other": None}
    heads.of(plane, ["shop.sales", "shop.other"])
    assert sorted(asked) == ["shop.other", "shop.sales"]
    table.append(pa.table({"a": [1]}))
    plane.commit("shop.sales")
    assert heads.of(plane, ["shop.sales", "shop.other"])["shop.sales"] == plane.head("shop.sales", "main")
    assert sorted(asked) == ["shop.other", "shop.sales", "shop.sales"]
