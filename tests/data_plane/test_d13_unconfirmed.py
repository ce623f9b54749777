"""D13: a branch is off the ledger's list only when it is certain that nobody writes it any more."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from drls_dagster.engine import state as st
from drls_dagster.engine.driver import free_port
from drls_dagster.engine.processes import MARK
from drls_dagster.lakehouse import refs
from drls_dagster.ledger import FAILED_CHECK_DAYS, open_ledger
from drls_dagster.sensors.debris import clear_debris
from drls_dagster.settings import EngineSettings, Settings
from tests.fakes.lake import LakePlane

TABLE, BRANCH = "flights.daily", "drls_run_1_2"
SESSION = "6d5a5c1e-0d5c-4b4e-9a77-0f8f2d6d3a11"


def left_behind(lake: LakePlane, engine_id: str) -> None:
    """A dead run's branch, and its row."""
    head = lake.commit(TABLE)
    refs.create_branch(lake.catalog, lake.lake_table(TABLE), BRANCH, head)
    code = (
        "from drls_dagster.ledger import open_ledger; from drls_dagster.settings import load_settings; "
        f"open_ledger(load_settings()).open_branch({TABLE!r}, {BRANCH!r}, 'run', {SESSION!r}, {engine_id!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "DRLS_HOME": str(lake.settings.home)})


def rows(settings: Settings) -> list[str]:
    return [one.branch for one in open_ledger(settings).branches(TABLE)]


def engine_that_does_not_answer(settings: Settings, engine_id: str) -> st.EngineState:
    me = psutil.Process()
    state = st.EngineState(engine_id, me.pid, me.create_time(), "running", "running", "")
    st.write_state(settings, replace(state, connect_port=free_port(), token="t"))
    return state


def test_d13_an_interrupt_that_was_not_confirmed_leaves_the_row_for_the_next_look(lake: LakePlane) -> None:
    """Finding 4; failed on 0.1.0: the row was closed, and what arrived later stayed for ever."""
    left_behind(lake, "one")
    state = engine_that_does_not_answer(lake.settings, "one")
    assert clear_debris(lake.settings) == []
    assert rows(lake.settings) == [BRANCH]
    assert lake.head(TABLE, BRANCH) is None

    late = lake.commit(TABLE)  # what was still on its way makes the branch again
    refs.create_branch(lake.catalog, lake.lake_table(TABLE), BRANCH, late)
    st.write_state(lake.settings, replace(state, engine_id="the next engine"))
    assert clear_debris(lake.settings) == [f"{TABLE}:{BRANCH}"]
    assert rows(lake.settings) == []
    assert lake.head(TABLE, BRANCH) is None


def test_d13_an_engine_whose_file_is_gone_and_whose_processes_are_not_has_confirmed_nothing(lake: LakePlane) -> None:
    """Finding 4; failed on 0.1.0."""
    mark = f"test-{os.getpid()}-debris"
    left_behind(lake, mark)
    with subprocess.Popen(
        [sys.executable, "-c", "print('up', flush=True); input()"],
        env={**os.environ, MARK: mark},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdout
        assert driver.stdout.readline() == "up\n"
        assert clear_debris(lake.settings) == []
        assert rows(lake.settings) == [BRANCH]
        driver.communicate("\n", timeout=30)
    assert clear_debris(lake.settings) == [f"{TABLE}:{BRANCH}"]


def test_d13_a_session_on_an_endpoint_of_somebody_else_is_asked_there(
    lake: LakePlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 4; failed on 0.1.0: nobody was asked at all."""
    left_behind(lake, "")
    url = f"sc://localhost:{free_port()}"
    settings = lake.settings.model_copy(update={"engine": EngineSettings(spark_connect=url)})
    assert clear_debris(settings) == []
    assert rows(settings) == [BRANCH]
    now = time.time() + (FAILED_CHECK_DAYS + 1) * 86_400
    monkeypatch.setattr(time, "time", lambda: now)
    assert clear_debris(settings) == [f"{TABLE}:{BRANCH}"], "no server keeps a session for a week"
