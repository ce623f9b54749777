"""The orchestrator on a real Dagster instance, without and with a web process."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml

from drls_dagster.asset_keys import table_key
from drls_dagster.lifecycle_client.adapters import Adapters
from drls_dagster.lifecycle_client.opening import make_store
from drls_dagster.orchestrator import DagsterOrchestrator
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.orchestrator.running_up import OWN_TOKEN, UpState, folder, write_up
from drls_dagster.settings import Settings, load_settings
from drls_dagster.tags import REASON_TAG
from drls_dagster.up.readiness import ask_ready
from lifecycle.domain.environment import Environment
from lifecycle.domain.run import Outcome
from lifecycle.domain.version import Label
from lifecycle.errors import Refused
from lifecycle.ports import ReleaseFacts, RunState

_LOCATION = """
import os
import dagster as dg

@dg.op
def hello():
    pass

@dg.job
def flights():
    hello()

@dg.job(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def parted():
    hello()

open(os.environ["LOADS"], "a").write("x")
defs = dg.Definitions(jobs=[flights, parted])
"""


@dg.op
def nothing() -> None:
    pass


@dg.job
def job() -> None:
    nothing()


@pytest.fixture
def settings(drls_home: Path) -> Settings:
    return load_settings(drls_home)


def test_a_run_is_unknown_active_or_ended(settings: Settings) -> None:
    orchestrator, instance = DagsterOrchestrator(settings), instance_of(settings)
    waiting = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    over = job.execute_in_process(instance=instance)

    assert orchestrator.run_state(waiting.run_id) is RunState.ACTIVE
    assert orchestrator.run_state(over.run_id) is RunState.ENDED
    assert orchestrator.run_state("no such run") is RunState.UNKNOWN


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (dg.DagsterRunStatus.SUCCESS, Outcome.SUCCEEDED),
        (dg.DagsterRunStatus.FAILURE, Outcome.FAILED),
        (dg.DagsterRunStatus.CANCELED, Outcome.CANCELLED),
        (dg.DagsterRunStatus.CANCELING, None),
        (dg.DagsterRunStatus.STARTED, None),
    ],
)
def test_how_a_run_ended(settings: Settings, status: dg.DagsterRunStatus, outcome: Outcome | None) -> None:
    run = instance_of(settings).create_run_for_job(job, status=status)
    assert DagsterOrchestrator(settings).run_outcome(run.run_id) is outcome
    assert DagsterOrchestrator(settings).run_outcome("no such run") is None


def test_l14_a_carried_promotion_is_a_materialization_without_a_run(settings: Settings) -> None:
    release = ReleaseFacts(version=1, digest="d" * 64, label=Label.APPROVED, promotion=7)
    DagsterOrchestrator(settings).released(Environment.DEVELOPMENT, "flights", {"flights.daily": 2**62 + 1}, release)

    record = instance_of(settings).get_latest_materialization_event(table_key("development", "lake", "flights.daily"))
    assert record is not None
    told = record.asset_materialization
    assert told is not None
    values = {name: value.value for name, value in told.metadata.items()}
    assert values["snapshot_id"] == str(2**62 + 1)
    assert (values["drls/version"], values["drls/digest"]) == (1, "d" * 64)
    assert (values["drls/label"], values["drls/promotion"]) == ("approved", 7)


def test_l14_a_dagster_that_cannot_be_told_does_not_undo_a_promotion(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.home.mkdir()
    (settings.home / "dagster").write_text("no folder")
    release = ReleaseFacts(version=1, digest="d" * 64, label=Label.UNREVIEWED, promotion=None)
    DagsterOrchestrator(settings).released(Environment.UAT, "flights", {"flights.daily": 1}, release)
    assert "flights is released in UAT" in caplog.text


def test_without_drls_up_a_push_does_nothing_and_a_launch_says_what_to_start(settings: Settings) -> None:
    orchestrator = DagsterOrchestrator(settings)
    orchestrator.deployments_changed(Environment.QA)
    with pytest.raises(Refused, match="start drls up, or run it: drls run flights --env qa"):
        orchestrator.launch(Environment.QA, "flights", "test")


def test_a_push_to_a_web_that_hangs_takes_seconds_and_raises_nothing(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        me = psutil.Process()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        write_up(settings, UpState("id", me.pid, me.create_time(), url, "token"))
        assert (folder(settings) / "state.json").stat().st_mode & 0o777 == 0o600
        began = time.monotonic()
        DagsterOrchestrator(settings).deployments_changed(Environment.QA)
        assert time.monotonic() - began < 4


def test_the_state_of_a_drls_up_that_died_is_not_believed(settings: Settings) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    created = psutil.Process(dead.pid).create_time()
    dead.wait()
    write_up(settings, UpState("id", dead.pid, created, "http://127.0.0.1:9", "token"))
    with pytest.raises(Refused, match="start drls up"):
        DagsterOrchestrator(settings).launch(Environment.QA, "flights", "test")


@pytest.mark.slow
def test_a_running_web_reloads_and_launches(settings: Settings, tmp_path: Path) -> None:
    make_store(settings, Adapters(), lambda _: None)
    orchestrator, instance = DagsterOrchestrator(settings), instance_of(settings)
    loads = tmp_path / "loads"
    with _web(settings, tmp_path, loads):
        orchestrator.launch(Environment.QA, "flights", "because")
        orchestrator.launch(Environment.QA, "parted", "because")
        runs = instance.get_runs(dg.RunsFilter(tags={REASON_TAG: "because"}))
        assert {(run.job_name, run.tags.get("dagster/partition")) for run in runs} == {
            ("flights", None),
            ("parted", "b"),
        }
        with pytest.raises(Refused, match="nobody in QA cannot be launched"):
            orchestrator.launch(Environment.QA, "nobody", "because")

        before = len(loads.read_text())
        began = time.monotonic()
        orchestrator.deployments_changed(Environment.QA)
        assert time.monotonic() - began < 2, "the verb waited for the reload"
        _until(lambda: len(loads.read_text()) > before)
        # No daemon takes them out of the queue here.
        assert {orchestrator.run_state(run.run_id) for run in runs} == {RunState.ACTIVE}


@contextmanager
def _web(settings: Settings, folder_: Path, loads: Path) -> Iterator[None]:
    """The web process of `drls up`, with one location that it starts itself."""
    (folder_ / "location.py").write_text(_LOCATION)
    workspace = folder_ / "workspace.yaml"
    one = {"python_file": {"relative_path": str(folder_ / "location.py"), "location_name": "qa"}}
    workspace.write_text(yaml.safe_dump({"load_from": [one]}))
    token = secrets.token_urlsafe(8)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        command = [sys.executable, "-m", "drls_dagster.up.web.serve", "--fd", str(fd), "--workspace", str(workspace)]
        environment = {**os.environ, "DAGSTER_HOME": str(settings.home / "dagster"), OWN_TOKEN: token}
        web = subprocess.Popen(command, env={**environment, "LOADS": str(loads)}, pass_fds=[fd])
        try:
            created = psutil.Process(web.pid).create_time()
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            up = UpState("id", web.pid, created, url, token)
            write_up(settings, up)
            _until(lambda: ask_ready(up).get("qa") == "ready" or web.poll() is not None)
            yield
        finally:
            children = psutil.Process(web.pid).children(recursive=True)
            web.terminate()
            web.wait(30)
            for child in children:
                with suppress(psutil.NoSuchProcess):
                    child.kill()


def _until(done: object, seconds: float = 60) -> None:
    assert callable(done)
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)
