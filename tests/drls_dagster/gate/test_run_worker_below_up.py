"""Where a run service runs, the process of a run has its token and the variables on a list, or does nothing (ADR 28)."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DefaultRunLauncher

from drls_dagster import settings as settings_module
from drls_dagster.dagster_private.launching import LaunchRunContext
from drls_dagster.dagster_private.workspace import PythonFileTarget
from drls_dagster.orchestrator.instance import dagster_home
from drls_dagster.runs.address import UNIX, URL_VARIABLE
from drls_dagster.settings import load_settings
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.drls_dagster.gate.conftest import serving
from tests.drls_dagster.gate.test_run_worker import RECORDING, SECONDS, life  # noqa: F401
from tests.drls_dagster.gate.test_ways_in import told_of
from tests.drls_dagster.gate.ways import LAUNCH, LOCATION, Ways
from tests.lifecycle.life import SETUP, Life

pytestmark = [
    pytest.mark.slow,
    # Dagster's own web server uses what Dagster has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
KEPT = {"AWS_ACCESS_KEY_ID": "of-the-bucket", "DAGSTER_DB_PASSWORD": "of-dagster", "DRLS_ENGINE__IDLE_MINUTES": "7"}
LEFT_OUT = {"ANTHROPIC_API_KEY": "sesame-1", "DRLS_TOKEN": "sesame-2", "DRLS_NOTIFY__SMTP_USER": "sesame-3", "X-Y": "s"}


@pytest.fixture
def ways(
    life: Life,  # noqa: F811
    gate_home: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Ways]:
    place = tmp_path_factory.mktemp("s") / "runs.sock"
    for name, value in {**KEPT, **LEFT_OUT, "DRLS_FENCE__ENVIRONMENT": '["RECORDED"]'}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RECORDED", str(tmp_path))
    monkeypatch.setenv(URL_VARIABLE, f"{UNIX}{place}")
    settings_module._load.cache_clear()
    target = PythonFileTarget(
        python_file=str(RECORDING), attribute="qa", working_directory=str(RECORDING.parents[3]), location_name=LOCATION
    )
    home = dagster_home(load_settings(gate_home))
    with life.store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        command = [sys.executable, "-m", "drls_dagster.runs.server", "--fd", str(listening.fileno())]
        with subprocess.Popen(command, pass_fds=[listening.fileno()]) as service:
            try:
                with serving(dg.DagsterInstance.from_config(str(home)), target) as found:
                    yield found
            finally:
                service.terminate()


def launched(ways: Ways) -> dg.DagsterRun:
    run_id = ways.ask(LAUNCH, ways.params("flights", partition=None))["run"]["runId"]
    run = ways.instance.get_run_by_id(run_id)
    assert run is not None
    return run


def end_of(ways: Ways, run: dg.DagsterRun) -> str:
    ways.instance.run_launcher.join(timeout=SECONDS)
    ended = ways.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE
    return told_of(ways, run.run_id)


def test_a_run_has_its_token_and_the_variables_on_the_list_or_does_nothing(ways: Ways, tmp_path: Path) -> None:
    run, built = launched(ways), set(tmp_path.iterdir())
    # As a dagster.yaml does that names Dagster's own launcher.
    context = LaunchRunContext(dagster_run=run, workspace=ways.process.create_request_context())
    DefaultRunLauncher.launch_run(ways.instance.run_launcher, context)  # pyright: ignore[reportArgumentType]
    told = end_of(ways, run)
    assert f"run {run.run_id} was started without its run token, so nothing of it was done" in told
    assert "flights_raw.flights" not in told
    assert set(tmp_path.iterdir()) == built, "it opened the store and built a version"

    run = launched(ways)
    ways.instance.launch_run(run.run_id, ways.process.create_request_context())
    told = end_of(ways, run)
    # Its source has no table: the step gets that far, and no further.
    assert "flights_raw.flights" in told, told
    (worker,) = set(re.findall(r"Started process for run \(pid: (\d+)\)", told))
    everything = (tmp_path.with_name(f"{tmp_path.name}-variables") / worker).read_text()
    given = dict(line.partition("=")[::2] for line in everything.split("\0") if line)
    assert {name: given.get(name) for name in KEPT} == KEPT
    assert {"PATH", "HOME", "DRLS_HOME", "DAGSTER_HOME", URL_VARIABLE, "RECORDED"} <= given.keys()
    assert not LEFT_OUT.keys() & given.keys()
    assert "sesame" not in everything
    assert os.environ["DRLS_TOKEN"], "the code server keeps its own"
