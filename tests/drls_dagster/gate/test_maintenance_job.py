"""Maintenance in a real Dagster instance: one job per environment, health as checks, and no way around the gate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from drls_dagster.dagster_private.loading import DefinitionsLoadContext, DefinitionsLoadType
from drls_dagster.dagster_private.tried import (
    CodeLocationReconstructionMetadataValue,
    RepositoryLoadData,
    create_execution_plan,
    snapshot_from_execution_plan,
)
from drls_dagster.gate.built_versions import pipelines_of_this_run
from drls_dagster.gate.parts import all_parts_of, parts_of
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.ledger import close_ledgers
from drls_dagster.locations.deployed import load_environment
from drls_dagster.locations.maintenance import maintenance_key
from drls_dagster.maintenance.rounds import go_round
from drls_dagster.sensors.health import AGAIN, _Watch
from drls_dagster.settings import Settings, load_settings
from drls_dagster.tags import MAINTENANCE, MAINTENANCE_STEP, PIPELINE_TAG
from drls_dagster.up.web.touched import _pipeline
from lifecycle.domain.environment import Environment
from lifecycle.domain.roles import Role
from tests.drls_dagster.gate.test_code_locations import Life, deploy
from tests.drls_dagster.gate.test_code_locations import life as life  # noqa: PLC0414
from tests.iceberg_tables import make_table
from tests.lifecycle.life import PRODUCTION, make_spec

KEY = maintenance_key(PRODUCTION)


@pytest.fixture(scope="module")
def home(life: Life, gate_home: Path) -> Iterator[Settings]:
    """Production's tables: one healthy, one of many small files, one broken, one of no pipeline; `late` has none yet."""
    for name in ("late", "bad"):
        deploy(life, name, life.save(make_spec(name)), PRODUCTION)
    make_table("consumer_a.daily", {"x": [1]})
    make_table("producer.daily", *[{"x": [number]} for number in range(40)])
    broken = make_table("bad.daily", {"x": [1]})
    Path(broken.metadata_location.removeprefix("file://")).unlink()
    make_table("private.salaries", *[{"x": [number]} for number in range(3)])
    make_table("flights__development.daily", {"x": [1]})
    yield load_settings(gate_home)
    close_ledgers()


def run(settings: Settings, instance: dg.DagsterInstance, tables: list[str] | None = None) -> dg.ExecuteInProcessResult:
    job = load_environment(PRODUCTION, settings).resolve_job_def(MAINTENANCE)
    config = {"ops": {MAINTENANCE_STEP: {"config": {"tables": tables}}}} if tables else None
    return job.execute_in_process(instance=instance, run_config=config)


def test_a_run_looks_at_every_table_and_a_broken_one_stops_no_other(home: Settings) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(home, instance)
        assert result.success
        (told,) = result.asset_materializations_for_node(MAINTENANCE_STEP)
        numbers = {name: value.value for name, value in told.metadata.items() if name != "report"}
        assert told.asset_key == KEY
        assert (numbers["tables"], numbers["unreadable"], numbers["below_policy"]) == (4, 1, 1)
        assert (numbers["worst_score"], numbers["extra_files"]) == (52, 41)
        report = {one.data["table"]: one.data["what"] for one in told.metadata["report"].records}  # pyright: ignore
        assert list(report) == ["bad.daily", "producer.daily", "consumer_a.daily", "private.salaries"]
        assert report["bad.daily"].startswith("cannot be read: the table's metadata file")
        assert report["producer.daily"] == "planned: Compact it: 40 data files could be 1; rewrite its 40 manifests"
        assert report["private.salaries"] == "needs nothing"
        assert parts_of(instance, result.dagster_run) == all_parts_of(instance, result.dagster_run) == ()
        assert PIPELINE_TAG not in result.dagster_run.tags


def test_health_is_a_check_of_each_pipelines_table_with_numbers_that_dagster_plots(home: Settings) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        checks = {one.check_name: one for one in run(home, instance).get_asset_check_evaluations()}
    low, fine = checks["producer__daily"], checks["consumer_a__daily"]
    assert (low.passed, fine.passed, low.asset_key) == (False, True, KEY)
    assert low.severity is dg.AssetCheckSeverity.WARN
    plotted = {
        name: value.value for name, value in low.metadata.items()
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
    }  # fmt: skip
    assert (plotted["score"], plotted["data_files"], plotted["small_files"]) == (52, 40, 40)
    assert {"snapshots", "manifests", "bytes", "metadata_bytes", "scan_overhead_percent", "history_bytes"} < set(
        plotted
    )
    assert checks["late__daily"].description == "late.daily is not there yet"
    assert (checks["bad__daily"].passed, checks["bad__daily"].severity) == (False, dg.AssetCheckSeverity.ERROR)


def test_nothing_is_changed_and_the_history_is_kept(home: Settings) -> None:
    before = load_catalog().load_table("producer.daily").metadata_location
    with dg.DagsterInstance.ephemeral() as instance:
        run(home, instance, ["producer.daily"])
    assert load_catalog().load_table("producer.daily").metadata_location == before
    tables = IcebergTables(home)
    assert tables.health_history("producer.daily", None, 5)[0].score == 52


def test_no_pipelines_run_includes_maintenance_and_in_a_run_with_pipelines_it_does_nothing(
    home: Settings, life: Life
) -> None:
    found = load_environment(PRODUCTION, home)
    pipeline = found.resolve_job_def("consumer_a")
    assert KEY not in {key for node in (pipeline.asset_layer,) for key in node.selected_asset_keys}
    assert {one.name for one in found.resolve_job_def(MAINTENANCE).nodes} == {MAINTENANCE_STEP}
    # Its step is refused, as another version is deployed by now.
    deploy(life, "late", life.save(make_spec("late", rows=2)), PRODUCTION)
    delays = dg.AssetKey(["production", "late", "delays"])
    with dg.DagsterInstance.ephemeral() as instance:
        result = found.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[KEY, delays], raise_on_error=False
        )
        assert not result.asset_materializations_for_node(MAINTENANCE_STEP)
        steps = {event.step_key for event in result.all_events if event.is_step_success}
        assert MAINTENANCE_STEP in steps
        assert [part.pipeline for part in parts_of(instance, result.dagster_run)] == ["late"]


def test_the_process_of_a_maintenance_run_builds_no_pipeline_and_the_same_checks(home: Settings) -> None:
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION)) as context:
        whole = load_environment(PRODUCTION, home)
        pending = context.get_pending_reconstruction_metadata()
    load_data = RepositoryLoadData(
        cacheable_asset_data={},
        reconstruction_metadata={key: CodeLocationReconstructionMetadataValue(text) for key, text in pending.items()},
    )

    def core_execute_run(job: str) -> dg.Definitions:
        """Called as Dagster's own is, with its plan at hand."""
        definition = whole.resolve_job_def(job)
        plan = create_execution_plan(definition)
        execution_plan_snapshot = snapshot_from_execution_plan(plan, definition.get_job_snapshot_id())
        assert execution_plan_snapshot.steps
        assert pipelines_of_this_run() == (() if job == MAINTENANCE else (job,))
        again = DefinitionsLoadContext(DefinitionsLoadType.RECONSTRUCTION, load_data)
        with DefinitionsLoadContext.scoped(again):
            return load_environment(PRODUCTION, home)

    alone = core_execute_run(MAINTENANCE)
    assert {job.name for job in alone.get_repository_def().get_all_jobs()} == {"__ASSET_JOB", MAINTENANCE}
    assert not alone.sensors
    keys = {one for one in alone.resolve_asset_graph().asset_check_keys if one.asset_key == KEY}
    assert keys == {one for one in whole.resolve_asset_graph().asset_check_keys if one.asset_key == KEY}
    other = core_execute_run("consumer_a")
    assert MAINTENANCE not in {job.name for job in other.get_repository_def().get_all_jobs()}


def test_the_sensor_asks_for_tables_below_their_policy_once_a_day(home: Settings) -> None:
    tables = IcebergTables(home)
    watch = _Watch(PRODUCTION, home, lambda: tables)

    def tick(cursor: str | None) -> dg.SensorResult:
        for _ in range(2):
            with dg.DagsterInstance.ephemeral() as instance:
                told = watch.evaluate(dg.build_sensor_context(instance=instance, cursor=cursor))
            watch._background.wait(60)
            if isinstance(told, dg.SensorResult):
                return told
        raise AssertionError(told)

    asked = tick(None)
    (request,) = asked.run_requests or ()
    assert (request.job_name, request.run_config["ops"][MAINTENANCE_STEP]["config"]["tables"]) == (
        MAINTENANCE, ["producer.daily"]
    )  # fmt: skip
    again = tick(asked.cursor)
    assert not again.run_requests
    assert "need maintenance" in str(again.skip_reason)
    yesterday = {name: at - AGAIN for name, at in json.loads(asked.cursor or "{}").items()}
    assert tick(json.dumps(yesterday)).run_requests


@pytest.mark.parametrize(
    ("own", "mode", "done"),
    [
        ({}, "report", "planned: Compact it"),
        ({"mode": "off"}, "off", "left alone"),
        ({"below": "10"}, "report", "needs nothing"),
        ({"mode": "everything"}, "report", "drls.maintenance.mode is 'everything'"),
        ({"below": "-1"}, "report", "drls.maintenance.below is '-1'"),
    ],
)
def test_a_tables_own_policy_wins_and_a_wrong_one_is_said(
    home: Settings, own: dict[str, str], mode: str, done: str
) -> None:
    name = f"private.{'_'.join(['t', *own, *(one.strip('-') for one in own.values())])}"
    table = make_table(name, *[{"x": [number]} for number in range(40)])
    table.transaction().set_properties(
        {f"drls.maintenance.{key}": value for key, value in own.items()} or {"a": "b"}
    ).commit_transaction()
    told: list[str] = []
    (visit,) = go_round(home, IcebergTables(home), PRODUCTION, [name], told.append)
    assert (visit.policy.mode, done in visit.done) == (mode, True)
    assert bool(told) is (visit.done != "needs nothing")
    load_catalog().drop_table(tuple(name.split(".")))


def test_where_it_is_off_a_location_has_none_of_it(home: Settings) -> None:
    off = home.model_copy(update={"maintenance": home.maintenance.model_copy(update={"mode": "off"})})
    found = load_environment(PRODUCTION, off)
    assert MAINTENANCE not in {job.name for job in found.get_repository_def().get_all_jobs()}
    assert "production_health" not in {one.name for one in found.sensors or ()}
    on = load_environment(Environment.QA, home)
    assert "qa_health" in {one.name for one in on.sensors or ()}
    assert "qa_Maintenance" in {one.name for one in on.get_repository_def().schedule_defs}


def test_development_looks_at_its_own_tables_only(home: Settings) -> None:
    found = go_round(home, IcebergTables(home), Environment.DEVELOPMENT)
    assert [one.name for one in found] == ["flights__development.daily"]


def test_to_launch_it_through_dagster_takes_a_lead_on_everything() -> None:
    found = _pipeline("production", MAINTENANCE)
    assert (found.everything, found.least, found.pipelines) == (True, Role.LEAD, frozenset())
    assert not _pipeline("production", "maintenance").everything, "a pipeline may have this name"
