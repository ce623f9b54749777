from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from drls_dagster.engine import client
from drls_dagster.engine import state as st
from drls_dagster.engine.processes import MARK, end_all, processes_of
from drls_dagster.settings import Settings, load_settings

HOLD_A_LEASE = """
import sys, time
from drls_dagster.engine.state import lease
from drls_dagster.settings import load_settings
with lease(load_settings()):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def settings(drls_home: Path) -> Settings:
    return load_settings()


def a_state(settings: Settings) -> st.EngineState:
    me = psutil.Process()
    state = st.EngineState("id", me.pid, me.create_time(), "running", "running", client.fingerprint(settings), 1.0)
    return replace(state, connect_port=1, token="s3cret", ray_address="127.0.0.1:1")


def test_the_state_is_for_its_owner_alone_and_its_token_is_never_shown(settings: Settings) -> None:
    state = a_state(settings)
    st.write_state(settings, state)
    file = settings.home / "engine" / "state.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert st.read_state(settings) == state
    assert "s3cret" not in repr(state)


def test_a_pid_that_came_round_again_is_not_believed(settings: Settings) -> None:
    other_start = replace(a_state(settings), created=psutil.Process().create_time() - 3600)
    st.write_state(settings, other_start)
    assert client.status(settings).state == "dead"


def test_half_a_state_file_is_no_state(settings: Settings) -> None:
    st.write_state(settings, a_state(settings))
    file = settings.home / "engine" / "state.json"
    file.write_text(file.read_text()[:20])
    assert st.read_state(settings) is None
    assert client.status(settings).state == "stopped"


def test_asking_makes_nothing(settings: Settings) -> None:
    assert client.status(settings).state == "stopped"
    assert st.read_runner(settings, "id") is None
    assert not settings.home.exists()


def test_a_lease_ends_with_its_process_even_by_kill_9(settings: Settings) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_A_LEASE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        assert st.live_leases(settings) == 1
        with st.lease(settings):
            assert st.live_leases(settings) == 2
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        assert st.live_leases(settings) == 0
    assert list((settings.home / "engine" / "leases").iterdir()) == []


def test_an_engine_in_use_is_stopped_by_force_only(settings: Settings) -> None:
    st.write_state(settings, a_state(settings))
    with st.lease(settings), pytest.raises(client.EngineError, match="in use by 1 run"):
        client.stop(settings)


def test_an_engine_is_found_and_ended_by_its_mark_children_too(settings: Settings) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    mark = f"test-{os.getpid()}"
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, MARK: mark}, stdin=subprocess.PIPE, start_new_session=True
    )
    with parent:
        deadline = time.monotonic() + 20
        while len(processes_of(mark)) < 2 and time.monotonic() < deadline:
            psutil.wait_procs([psutil.Process(parent.pid)], timeout=0.05)
        assert len(processes_of(mark)) == 2
        end_all(mark)
        assert processes_of(mark) == []


def test_an_engine_that_cannot_start_says_why_and_leaves_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRLS_ENGINE__MAVEN_MIRROR", "http://127.0.0.1:9/")
    settings = load_settings(settings.home / "offline")
    with pytest.raises(client.EngineError, match=r"jars could not be fetched.*maven_mirror.*driver\.log"):
        client.ensure_engine(settings)
    state = st.read_state(settings)
    assert state is not None
    assert processes_of(state.engine_id) == []
    assert client.status(settings).state == "dead"


def test_other_settings_are_another_engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    before = client.fingerprint(settings)
    assert client.fingerprint(load_settings(settings.home)) == before
    monkeypatch.setenv("DRLS_ENGINE__CORES", "3")
    assert client.fingerprint(Settings(home=settings.home)) != before
