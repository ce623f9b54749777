"""A run from its launch to the process that executes it: a real code server, queue, launcher and run worker."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from drls_dagster.dagster_private.workspace import PythonFileTarget
from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from drls_dagster.orchestrator.instance import dagster_home
from drls_dagster.private_home import make_private
from drls_dagster.settings import load_settings
from lifecycle.audit import load_signing_key
from lifecycle.ports import SystemClock
from lifecycle.spec import digest
from lifecycle.store.store import Store
from tests.drls_dagster.gate.conftest import serving
from tests.drls_dagster.gate.test_code_locations import deploy
from tests.drls_dagster.gate.test_ways_in import told_of
from tests.drls_dagster.gate.ways import LAUNCH, LOCATION, Ways
from tests.lifecycle.life import QA, Life, make_spec

RECORDING = Path(__file__).parent / "recording.py"
SECONDS = 120


@pytest.fixture
def life(gate_home: Path) -> Iterator[Life]:
    settings = load_settings(gate_home)
    make_private(gate_home)
    store = Store.create(store_url(settings), load_signing_key(signing_key_file(settings)), SystemClock())
    made = Life(store, gate_home, SystemClock())  # pyright: ignore[reportArgumentType]
    for name in ("flights", "planes", "weather"):
        deploy(made, name, made.save(make_spec(name)), QA)
    yield made
    store.close()


@pytest.fixture
def ways(life: Life, gate_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ways]:
    monkeypatch.setenv("RECORDED", str(tmp_path))
    target = PythonFileTarget(
        python_file=str(RECORDING), attribute="qa", working_directory=str(RECORDING.parents[3]), location_name=LOCATION
    )
    home = dagster_home(load_settings(gate_home))
    with serving(dg.DagsterInstance.from_config(str(home)), target) as found:
        yield found


@pytest.mark.slow
# Dagster's own web server uses what Dagster has deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_l10_a_queued_run_executes_its_version_and_its_process_builds_nothing_else(
    life: Life, ways: Ways, tmp_path: Path
) -> None:
    (server,) = tmp_path.iterdir()
    everything = json.loads(server.read_text())
    assert everything.keys() == {"flights", "planes", "weather"}
    server.unlink()
    run_id = ways.ask(LAUNCH, ways.params("flights", partition=None))["run"]["runId"]
    run = ways.instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.QUEUED, told_of(ways, run_id)
    deploy(life, "flights", life.save(make_spec("flights", rows=2)), QA)
    launcher = ways.instance.run_launcher
    assert type(launcher).__name__ == "GatedRunLauncher"
    # As the daemon does when it is the run's turn.
    ways.instance.launch_run(run_id, ways.process.create_request_context())
    launcher.join(timeout=SECONDS)
    ended = ways.instance.get_run_by_id(run_id)
    assert ended is not None
    told = told_of(ways, run_id)
    # Its source has no table: the step gets that far, and no further.
    assert ended.status is dg.DagsterRunStatus.FAILURE, told
    assert "flights_raw.flights" in told, told
    assert "DRLS did not let" not in told
    (worker,) = [int(found) for found in set(re.findall(r"Started process for run \(pid: (\d+)\)", told))]
    built = {int(file.stem): json.loads(file.read_text()) for file in tmp_path.iterdir()}
    assert built[worker] == {"flights": digest(make_spec("flights", rows=1))} == {"flights": everything["flights"]}
