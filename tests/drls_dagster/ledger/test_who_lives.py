"""D13: a run is dead by its pid in its own home, elsewhere by its heartbeat, and everywhere by the orchestrator's word."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import psutil
import pytest
import sqlalchemy as sa

from drls_dagster.ledger import Ledger, Life, RunTakenForDead, open_ledger
from drls_dagster.ledger.place import Place
from drls_dagster.settings import Settings
from tests.waiting import wait_until

Elsewhere = Callable[..., Ledger]

RUNNING = """
from drls_dagster.ledger import open_ledger
from drls_dagster.settings import load_settings
open_ledger(load_settings()).open_branch("shop.sales", "theirs", "run", "session", "engine")
print("runs", flush=True)
input()
"""


def execute_sql(ledger: Ledger, text: str) -> None:
    with ledger._database.write() as connection:
        if connection.dialect.name != "sqlite":
            connection.execute(sa.text("SET LOCAL search_path TO drls_runs"))
        connection.execute(sa.text(text))


def stop_beating(ledger: Ledger) -> None:
    """Its process goes on, cut off from everything."""
    ledger._heart.stop()


def test_d13_in_its_own_home_a_run_is_dead_as_soon_as_its_process_is(settings: Settings, ledger: Ledger) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUNNING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "runs\n"
        assert ledger.life("run") is Life.ALIVE
        assert ledger.debris() == []
        process.kill()
        process.wait(30)
    assert settings.ledger.dead_seconds == 300
    assert ledger.is_dead("run")
    assert [one.branch for one in ledger.debris()] == ["theirs"]


def test_d13_elsewhere_a_run_lives_as_long_as_it_sends_heartbeats(ledger: Ledger, elsewhere: Elsewhere) -> None:
    far = elsewhere()
    far.open_branch("shop.sales", "theirs", "run", "session", "engine")
    began = time.monotonic()
    while time.monotonic() < began + 1.5:  # three times as long as it is believed without a heartbeat
        assert ledger.life("run") is Life.ALIVE
        assert ledger.debris() == []
        time.sleep(0.05)
    stop_beating(far)
    wait_until(lambda: ledger.is_dead("run"), 30)
    (left,) = ledger.debris()
    assert (left.branch, left.here, left.host) == ("theirs", False, "far")


def test_d13_who_was_declared_dead_opens_no_branch_and_publishes_nothing(ledger: Ledger, elsewhere: Elsewhere) -> None:
    far = elsewhere()
    far.execute("run", "run")
    stop_beating(far)
    wait_until(lambda: ledger.is_dead("run"), 30)
    far._beat()  # it was cut off, and is back
    assert ledger.life("run") is Life.DEAD
    with pytest.raises(RunTakenForDead, match=r"run run was declared dead.*re-execute it from failure"):
        far.require_alive("run")
    with pytest.raises(RunTakenForDead):
        far.open_branch("shop.sales", "theirs", "run", "session", "engine")
    assert ledger.branches() == []


def test_d13_who_is_back_before_anybody_acted_lives(ledger: Ledger, elsewhere: Elsewhere) -> None:
    far = elsewhere()
    far.execute("run", "run")
    stop_beating(far)
    wait_until(lambda: far._judge(far._of_run("run")) is not Life.ALIVE or ledger._of_run("run")[0].lapsed, 30)
    far._beat()
    assert ledger.life("run") is Life.ALIVE
    far.require_alive("run")


def test_d7_a_resumed_run_takes_the_place_of_the_one_before_at_once(ledger: Ledger, elsewhere: Elsewhere) -> None:
    far = elsewhere(dead=300)
    far.open_branch("shop.sales", "theirs", "first", "session", "engine")
    ledger.execute("second", "first")
    with pytest.raises(RunTakenForDead):
        far.require_alive("first")
    assert [one.branch for one in ledger.debris()] == ["theirs"]
    assert ledger.life("second") is Life.ALIVE
    elsewhere().execute("third", "first")
    with pytest.raises(RunTakenForDead):
        ledger.require_alive("second")


def test_d13_a_run_that_the_orchestrator_calls_over_is_dead_whatever_its_process_says(
    ledger: Ledger, elsewhere: Elsewhere
) -> None:
    far = elsewhere(dead=300)
    for one, run in ((ledger, "here"), (far, "there")):
        one.open_branch("shop.sales", run, run, "session", "engine")
        ledger.declare_dead(run)
        with pytest.raises(RunTakenForDead):
            one.require_alive(run)
    assert {one.branch for one in ledger.debris()} == {"here", "there"}


def test_a_run_that_is_started_again_in_another_process_lives(ledger: Ledger, elsewhere: Elsewhere) -> None:
    far = elsewhere()
    far.open_branch("shop.sales", "before", "run", "session", "engine")
    stop_beating(far)
    wait_until(lambda: ledger.is_dead("run"), 30)
    ledger.execute("run", "run")
    assert ledger.life("run") is Life.ALIVE
    assert [one.branch for one in ledger.debris()] == ["before"]


def test_the_processs_own_clock_does_not_matter(
    ledger: Ledger, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86_400)
    elsewhere(dead=300).execute("run", "run")
    monkeypatch.setattr(time, "time", lambda: now + 86_400)
    assert ledger.life("run") is Life.ALIVE


def test_an_outage_of_the_database_ends_no_run_and_is_said_once(
    ledger: Ledger, elsewhere: Elsewhere, caplog: pytest.LogCaptureFixture
) -> None:
    far = elsewhere(dead=60)
    far.execute("run", "run")
    beats, beat = threading.Semaphore(0), far._beat

    def counted() -> None:
        try:
            beat()
        finally:
            beats.release()

    far._heart._beat = counted
    execute_sql(ledger, "ALTER TABLE executions RENAME TO away")
    while beats.acquire(blocking=False):
        pass
    assert all(beats.acquire(timeout=30) for _ in range(4))
    execute_sql(ledger, "ALTER TABLE away RENAME TO executions")
    said = [one.message for one in caplog.records if "heartbeat" in one.message]
    assert len(said) == 1
    before = promised(ledger)
    wait_until(lambda: promised(ledger) > before, 30)
    assert ledger.life("run") is Life.ALIVE


def promised(ledger: Ledger) -> float:
    with ledger._database.read() as connection:
        return connection.execute(sa.text(f"SELECT until FROM {schema_of(connection)}executions")).scalar_one()


def schema_of(connection: sa.Connection) -> str:
    return "" if connection.dialect.name == "sqlite" else "drls_runs."


def test_a_queued_run_lives_for_other_homes_while_its_own_vouches_for_it(ledger: Ledger, elsewhere: Elsewhere) -> None:
    far = elsewhere()
    far.vouch("run")
    assert (ledger.life("run"), ledger.is_dead("run")) == (Life.ALIVE, False)
    execute_sql(ledger, "UPDATE executions SET until = 0")
    assert not ledger.is_dead("run"), "its own Dagster has it in the queue"
    far.vouch("run")
    assert ledger.life("run") is Life.ALIVE
    execute_sql(ledger, "UPDATE executions SET until = 0")
    assert ledger.life("run") is Life.DEAD

    far.vouch("other")
    far.execute("other", "other")
    far.vouch("other")
    stop_beating(far)
    wait_until(lambda: ledger.is_dead("other"), 30)
    assert ledger.life("other") is Life.DEAD


def test_what_ran_before_a_restart_of_the_machine_is_gone() -> None:
    me = psutil.Process()
    now = Place("home", "boot 2", "pids", "host")
    assert now.is_gone("home/boot 2/pids", "host", me.pid, me.create_time()) is False
    assert now.is_gone("home/boot 1/pids", "host", me.pid, me.create_time()) is True
    assert now.is_gone("home/boot 1/pids", "another host", me.pid, me.create_time()) is None
    assert now.is_gone("home/boot 2/other pids", "host", me.pid, me.create_time()) is None
    assert now.is_gone("other home/boot 2/pids", "host", me.pid, me.create_time()) is None
    assert now.is_gone(None, "host", me.pid, me.create_time()) is False


def test_a_run_that_left_its_process_sends_no_heartbeat_any_more(settings: Settings, ledger: Ledger) -> None:
    ledger.execute("run", "run")
    ledger.leave("run")
    before = promised(ledger)
    ledger._beat()
    assert promised(ledger) == before
    assert open_ledger(settings).life("run") is Life.ALIVE, "its process is there"
