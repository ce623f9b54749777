"""The orchestrator on a real Dagster instance, without and with a web process."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import psutil
import pytest

from drls_dagster.asset_keys import table_key
from drls_dagster.orchestrator import DagsterOrchestrator
from drls_dagster.orchestrator.instance import instance_of
from drls_dagster.orchestrator.running_up import UpState, folder, write_up
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.environment import Environment
from lifecycle.domain.run import Outcome
from lifecycle.domain.version import Label
from lifecycle.errors import Refused
from lifecycle.ports import ReleaseFacts


@dg.op
def nothing() -> None:
    pass


@dg.job
def job() -> None:
    nothing()


@pytest.fixture
def settings(drls_home: Path) -> Settings:
    return load_settings(drls_home)


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

    record = instance_of(settings).get_latest_materialization_event(
        table_key(Environment.DEVELOPMENT, "lake", "flights.daily")
    )
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
    with pytest.raises(Refused, match="start drls up, or run it yourself: drls run flights --env qa"):
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
