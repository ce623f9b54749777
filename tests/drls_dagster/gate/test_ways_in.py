"""Every way into Dagster against every state of a version: nothing unapproved runs, and a refusal says why."""

from __future__ import annotations

import dagster as dg
import pytest
from _pytest.mark import ParameterSet

from drls_dagster.asset_keys import node_key
from drls_dagster.dagster_private.launching import LaunchRunContext
from drls_dagster.tags import REFUSED_TAG
from tests.drls_dagster.gate.town import QUEUED, RUNS, STATES, Town, environment_of
from tests.drls_dagster.gate.ways import LAUNCH, WAYS, Ways

WHY = {
    "never": "never v1 is not active in production; promote it: drls promote never --to production",
    "revoked": "this run of revoked v1 may not continue in production: stopped: test",
    "overtaken": "this run of overtaken v1 may not continue in production: superseded by v2",
    "superseded": "superseded v1 is not active in production: v2 is; promote superseded v1 to run it",
    "demoted": "demoted v1 is not active in UAT; promote it",
    "retired": "retired v1 is not active in production",
    "stopped": "stopped is stopped in production (test); a LeadDataEngineer can lift the stop",
    "tampered": "tampered v1 was changed in the database",
}


def _combinations() -> list[ParameterSet]:
    """Every way with every state. `make test` has each way with three states, and each state with one way at least."""
    usual = {(way, STATES[number % len(STATES)]) for number, way in enumerate(WAYS)}
    usual |= {(way, state) for way in WAYS for state in ("never", "approved")}
    usual |= {("launchPipelineExecution", state) for state in STATES}
    return [
        pytest.param(way, state, marks=[] if (way, state) in usual else [pytest.mark.slow])
        for way in WAYS
        for state in STATES
    ]


# Dagster's own web server and daemon use what Dagster has deprecated.
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning"
)
@pytest.mark.parametrize(("way", "state"), _combinations())
def test_every_way_in_asks_the_gate(town: Town, ways: Ways, way: str, state: str) -> None:
    before = town.written()
    key = node_key(town.specs[state], "kept", environment_of(state), town.settings.catalog.name)
    ids = WAYS[way](ways, state, key)
    assert ids, "the way made no run"
    for run_id in ids:
        run = _run(ways, run_id)
        if state in QUEUED:
            assert run.status is dg.DagsterRunStatus.QUEUED, told_of(ways, run_id)
            town.change_while_queued(state)
            ways.instance.run_launcher.launch_run(LaunchRunContext(run, ways.process.create_request_context()))
            run = _run(ways, run_id)
        told = told_of(ways, run_id)
        if state in RUNS:
            assert run.status is dg.DagsterRunStatus.QUEUED, told
            assert run.tags["drls/pipeline"] == state
            assert run.tags["drls/version"] == town.versions[state].digest
            assert run.tags.get("dagster/priority", "0") == "0"
            assert run.tags.get(REFUSED_TAG, "false") == "false"
            assert town.audited(run_id) == ["admission.granted"]
            ways.instance.run_coordinator.cancel_run(run_id)
        else:
            assert run.status is dg.DagsterRunStatus.FAILURE
            assert run.tags[REFUSED_TAG] == "true"
            assert WHY[state] in told
            assert "Stack Trace" not in told
            assert "Traceback" not in told
            expected = "admission.granted" if state in QUEUED else "admission.refused"
            assert expected in town.audited(run_id)
    assert town.written() == before


# What would choose another lifecycle to ask, another catalog to write to, or how Spark reads.
REDIRECTIONS = (
    ("drls_lifecycle", {"home": "/elsewhere"}),
    ("drls_iceberg", {"home": "/elsewhere"}),
    ("drls_spark", {"home": "/elsewhere"}),
    ("drls_spark", {"spark_config": {"spark.sql.defaultCatalog": "elsewhere"}}),
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::dagster.BetaWarning")
@pytest.mark.parametrize(("resource", "config"), REDIRECTIONS)
def test_no_launch_configures_what_the_gate_rests_on(
    town: Town, ways: Ways, resource: str, config: dict[str, object]
) -> None:
    before = {run.run_id for run in ways.instance.get_runs()}
    params = ways.params("approved", config={"resources": {resource: {"config": config}}})
    answer = ways.ask(LAUNCH, params)
    assert answer["__typename"] == "RunConfigValidationInvalid"
    assert {run.run_id for run in ways.instance.get_runs()} == before


def _run(ways: Ways, run_id: str) -> dg.DagsterRun:
    run = ways.instance.get_run_by_id(run_id)
    assert run is not None
    return run


def told_of(ways: Ways, run_id: str) -> str:
    """Everything in the event log, stack traces too."""
    lines: list[str] = []
    for record in ways.instance.all_logs(run_id):
        lines.append(record.user_message or record.message or "")
        data = record.dagster_event.event_specific_data if record.dagster_event else None
        error = getattr(data, "error", None)
        if error is not None:
            lines.append(error.to_string())
    return "\n".join(lines)
