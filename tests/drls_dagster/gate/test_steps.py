"""What goes round the queue meets the gate in the step itself."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest

from drls_dagster.errors import DrlsError
from drls_dagster.resources.spark_on_ray import SparkOnRay
from drls_dagster.runs.admission import admit
from drls_dagster.runs.part import Part
from drls_dagster.settings import Settings
from drls_dagster.tags import REFUSED_TAG
from lifecycle.usecases.parts.specs import spec_of
from lifecycle.usecases.start_run import finish_run
from tests.drls_dagster.gate import hand_made
from tests.drls_dagster.gate.test_ways_in import REDIRECTIONS, WHY, told_of
from tests.drls_dagster.gate.town import PARTITION, QUEUED, RUNS, STATES, Town, environment_of
from tests.drls_dagster.gate.ways import Ways
from tests.fakes.own_run import client_of
from tests.lifecycle.life import DAGSTER

PASSED = "the gate let it through"
HERE = Path(__file__).parent
# Dagster's command line and its web server use what Dagster has deprecated.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning"
)


@pytest.fixture(scope="module")
def offered(town: Town) -> dg.Definitions:
    """What somebody's own process has loaded."""
    assert town
    return hand_made.build()


@pytest.fixture
def no_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a step does first after the gate ends it, so that no engine is needed."""

    def session(_: SparkOnRay) -> None:
        raise DrlsError(PASSED)

    monkeypatch.setattr(SparkOnRay, "session", session)


@pytest.mark.usefixtures("no_spark")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("step", ["some", "kept"])
def test_execute_in_process_asks_in_the_step(
    town: Town, ways: Ways, offered: dg.Definitions, state: str, step: str
) -> None:
    before = town.written()
    run_id = str(uuid.uuid4())
    environment = environment_of(state)
    if state in QUEUED:
        part = Part(state, town.versions[state].digest, environment)
        admit(town.settings, part, run_id, run_key=run_id, parameters={})
        town.change_while_queued(state)
    key = ["production" if state != "demoted" else "uat", state, step]
    if step == "kept":
        key = [environment.value, town.settings.catalog.name, state, "kept"]
    result = offered.resolve_job_def(state).execute_in_process(
        instance=ways.instance,
        run_id=run_id,
        partition_key=PARTITION,
        asset_selection=[dg.AssetKey(key)],
        tags={"drls/pipeline": "approved", "drls/version": town.versions["approved"].digest},
        raise_on_error=False,
    )
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    told = failure.step_failure_data.user_failure_data.description  # pyright: ignore[reportOptionalMemberAccess]
    ran = ways.instance.get_run_by_id(run_id)
    assert ran is not None
    assert (REFUSED_TAG in ran.tags) is (state not in RUNS)
    if state in RUNS:
        assert told
        assert "DRLS did not let" not in told
        assert town.audited(run_id)[:2] == ["admission.granted", "admission.started"]
        assert town.audited(run_id)[-1] == "admission.finished"
    else:
        assert WHY[state] in told
        assert not any(event.is_step_success for event in result.all_events)
        assert "Stack Trace" not in told_of(ways, run_id)
    assert town.written() == before


@pytest.mark.usefixtures("no_spark")
@pytest.mark.parametrize(("resource", "config"), REDIRECTIONS)
def test_no_run_configuration_sends_a_step_to_another_lifecycle_or_catalog(
    town: Town, ways: Ways, offered: dg.Definitions, resource: str, config: dict[str, object]
) -> None:
    before = town.written()
    with pytest.raises(dg.DagsterInvalidConfigError, match="unexpected config entry"):
        offered.resolve_job_def("approved").execute_in_process(
            instance=ways.instance,
            partition_key=PARTITION,
            run_config={"resources": {resource: {"config": config}}},
            raise_on_error=False,
        )
    assert town.written() == before


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (["job", "execute", "-j", "never"], "never v1 is not active in production"),
        pytest.param(
            ["asset", "materialize", "--select", "key:production/lake/retired/kept", "--partition", PARTITION],
            "retired v1",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_commands_that_run_in_their_own_process_are_refused(
    town: Town, ways: Ways, command: Sequence[str], refusal: str
) -> None:
    before = town.written()
    tags = ["--tags", f'{{"dagster/partition": "{PARTITION}"}}'] if command[0] == "job" else []
    told = _dagster(town.settings, [*command, "-f", str(HERE / "hand_made.py"), *tags])
    assert told.returncode != 0
    assert refusal in told.stdout + told.stderr
    assert town.written() == before


@pytest.mark.parametrize(
    "command",
    [
        ["job", "launch", "-j", "superseded", "--tags", '{"dagster/partition": "north"}'],
        pytest.param(
            ["job", "backfill", "-j", "superseded", "--partitions", PARTITION, "--noprompt"], marks=pytest.mark.slow
        ),
    ],
)
def test_commands_that_launch_are_refused(town: Town, ways: Ways, command: Sequence[str]) -> None:
    before = town.written()
    known = {run.run_id for run in ways.instance.get_runs()}
    told = _dagster(town.settings, [*command, "-f", str(HERE / "hand_made.py")])
    assert told.returncode == 0, told.stderr
    made = [run for run in ways.instance.get_runs() if run.run_id not in known]
    assert made, told.stdout
    for run in made:
        assert run.status is dg.DagsterRunStatus.FAILURE
        assert WHY["superseded"] in told_of(ways, run.run_id)
        assert "admission.refused" in town.audited(run.run_id)
    assert town.written() == before


@pytest.mark.usefixtures("no_spark")
def test_l10_one_run_at_a_time(town: Town, ways: Ways, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run waits until the first is over; that the first died without a word is found out."""
    part = Part("approved", town.versions["approved"].digest, environment_of("approved"))
    admission = admit(town.settings, part, "first", run_key="first", parameters={})
    assert admission is not None
    from drls_dagster.gate import turn

    said: list[str] = []
    spec = spec_of(town.versions["approved"])
    begun = turn.begin(client_of(town.settings, spec, part.environment, "first"), said.append)
    second = admit(town.settings, part, "second", run_key="second", parameters={})
    assert second is not None

    def finish(_: float) -> None:
        finish_run(town.life.ctx, DAGSTER, begun.run_id, "approved")

    monkeypatch.setattr(turn.time, "sleep", finish)
    started = turn.begin(client_of(town.settings, spec, part.environment, "second"), said.append)
    assert started.run_id == "second"
    assert said == ["approved waits in production until run first ends"]
    finish_run(town.life.ctx, DAGSTER, "second", "approved")


def _dagster(settings: Settings, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dagster", *arguments],
        env={**os.environ, "DAGSTER_HOME": str(settings.home / "dagster"), "PYTHONPATH": str(HERE.parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
