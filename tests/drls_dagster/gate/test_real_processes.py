"""The ways in once more with nothing of Dagster in the test's own process: code server, web server and daemon.

The location is started by hand, and what it offers is superseded.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
import yaml

from drls_dagster.asset_keys import node_key
from drls_dagster.dagster_private.daemon import DAEMON
from drls_dagster.dagster_private.workspace import WorkspaceFileTarget, WorkspaceProcessContext
from drls_dagster.orchestrator.instance import dagster_home
from tests.drls_dagster.gate.conftest import HAND_MADE
from tests.drls_dagster.gate.test_ways_in import WHY, told_of
from tests.drls_dagster.gate.town import Town
from tests.drls_dagster.gate.ways import BACKFILL, LOCATION, WAYS, Ways
from tests.waiting import wait_until

STATE = "superseded"
SECONDS = 150.0


class RealWays(Ways):
    """The same ways: what is asked goes to Dagster's web server, what is scheduled is left to its daemon."""

    def __init__(self, instance: dg.DagsterInstance, process: WorkspaceProcessContext, url: str) -> None:
        super().__init__(instance, process)
        self._url = url

    def ask(self, query: str, params: Any) -> Any:
        sent = {"query": query, "variables": {"p": params}}
        answer = httpx.post(f"{self._url}/graphql", json=sent, timeout=SECONDS, trust_env=False).json()
        assert not answer.get("errors"), answer
        (found,) = answer["data"].values()
        assert found["__typename"] != "PythonError", found
        return found

    def backfill(self, name: str, key: dg.AssetKey) -> list[str]:
        params = {"assetSelection": [{"path": list(key.path)}], "partitionNames": ["north"]}
        backfill = self.ask(BACKFILL, {"title": "t", **params})["backfillId"]
        return self._wait({"dagster/backfill": backfill})

    def schedule(self, name: str, _key: dg.AssetKey) -> list[str]:
        schedule = self._repository.get_schedule(f"{name}_schedule")
        self.instance.start_schedule(schedule)
        found = self._wait({"dagster/schedule_name": schedule.name})
        self.instance.stop_schedule(schedule.get_remote_origin().get_id(), schedule.selector_id, schedule)
        return found

    def asset_sensor(self, name: str, key: dg.AssetKey) -> list[str]:
        self.instance.report_runless_asset_event(dg.AssetMaterialization(key))
        return self._watched_by(f"{name}_sensor")

    def automation(self, name: str, _key: dg.AssetKey) -> list[str]:
        return self._watched_by(f"{name}_automation")

    @property
    def _repository(self) -> Any:
        return self.process.create_request_context().get_code_location(LOCATION).get_repository("__repository__")

    def _watched_by(self, name: str) -> list[str]:
        sensor = self._repository.get_sensor(name)
        self.instance.start_sensor(sensor)
        found = self._wait({"dagster/sensor_name": name})
        self.instance.stop_sensor(sensor.get_remote_origin().get_id(), sensor.selector_id, sensor)
        return found

    def _wait(self, tags: Mapping[str, str]) -> list[str]:
        def runs() -> list[str]:
            return [run.run_id for run in self.instance.get_runs(dg.RunsFilter(tags=tags)) if run.is_finished]

        wait_until(lambda: bool(runs()), SECONDS)
        return runs()


REAL: dict[str, Callable[[RealWays, str, dg.AssetKey], list[str]]] = {
    **WAYS,
    "backfill": RealWays.backfill,
    "schedule": RealWays.schedule,
    "asset sensor": RealWays.asset_sensor,
    "automation condition": RealWays.automation,
}  # pyright: ignore[reportAssignmentType]


@pytest.fixture(scope="module")
def real_ways(town: Town) -> Iterator[RealWays]:
    """A code server, a web server and a daemon of Dagster, as somebody would start them by hand."""
    folder = town.settings.home.parent
    home = dagster_home(town.settings)
    at = folder / "code.sock"
    workspace = folder / "workspace.yaml"
    workspace.write_text(
        yaml.safe_dump({"load_from": [{"grpc_server": {"socket": str(at), "location_name": LOCATION}}]})
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    code = ["dagster", "code-server", "start", "-f", str(HAND_MADE), "-a", "defs"]
    commands = [
        [*code, "--socket", str(at), "--location-name", LOCATION],
        ["dagster_webserver", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)],
        [DAEMON, "run", "-w", str(workspace)],
    ]
    url = f"http://127.0.0.1:{port}"
    with dg.DagsterInstance.from_config(str(home)) as instance, contextlib.ExitStack() as stack:
        # Before the processes: each of them would make Dagster's storage.
        instance.get_runs_count()
        stack.enter_context(_started(commands[0], folder / "code.log", home))
        wait_until(at.exists, SECONDS)
        process = stack.enter_context(WorkspaceProcessContext(instance, WorkspaceFileTarget([str(workspace)])))
        ways = RealWays(instance, process, url)
        for number, command in enumerate(commands[1:]):
            stack.enter_context(_started(command, folder / f"{number}.log", home))
        wait_until(lambda: _answers(url), SECONDS)
        yield ways


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning"
)
@pytest.mark.parametrize("way", REAL)
def test_each_way_is_refused_by_real_processes(town: Town, real_ways: RealWays, way: str) -> None:
    before = town.written()
    key = node_key(town.specs[STATE], "kept", "production", town.settings.catalog.name)
    ids = REAL[way](real_ways, STATE, key)
    assert ids, "the way made no run"
    for run_id in ids:
        run = real_ways.instance.get_run_by_id(run_id)
        assert run is not None
        told = told_of(real_ways, run_id)
        assert run.status is dg.DagsterRunStatus.FAILURE, told
        assert WHY[STATE] in told
        assert "Traceback" not in told
        assert "Stack Trace" not in told
        assert "admission.refused" in town.audited(run_id)
        steps = real_ways.instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_START).records
        assert not steps
    assert town.written() == before


@contextlib.contextmanager
def _started(command: Sequence[str], log: Path, home: Path) -> Iterator[None]:
    environment = {**os.environ, "DAGSTER_HOME": str(home), "PYTHONPATH": str(HAND_MADE.parents[3])}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/server_info", timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
