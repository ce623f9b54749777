"""The ledger's tables: made at the first use, brought up to date, refused when they are another DRLS's."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from drls_dagster.cli.doctor_checks import run_checks
from drls_dagster.cli.main import run
from drls_dagster.ledger import Life, PublishRecord, close_ledgers, open_ledger
from drls_dagster.ledger.database import Database
from drls_dagster.settings import LifecycleSettings, Settings, load_settings
from lifecycle.errors import StoreError
from lifecycle.store.engine import open_engine
from lifecycle.store.migrating import SchemaState
from tests.postgres_server import PostgresServer

OF_0_1_0 = """
CREATE TABLE pins (run_key VARCHAR NOT NULL, epoch VARCHAR NOT NULL, node VARCHAR NOT NULL, value JSON NOT NULL,
  PRIMARY KEY (run_key, epoch, node));
CREATE TABLE branches (branch VARCHAR NOT NULL, table_name VARCHAR NOT NULL, run_key VARCHAR NOT NULL,
  session_id VARCHAR NOT NULL, engine_id VARCHAR NOT NULL, host VARCHAR NOT NULL, pid INTEGER NOT NULL,
  created FLOAT NOT NULL, state VARCHAR NOT NULL, at FLOAT NOT NULL, PRIMARY KEY (branch, table_name));
CREATE TABLE receipts (seq INTEGER NOT NULL, table_uuid VARCHAR NOT NULL, ref VARCHAR NOT NULL,
  snapshot_id BIGINT NOT NULL, run_key VARCHAR NOT NULL, step VARCHAR NOT NULL, partitions VARCHAR NOT NULL,
  positions JSON NOT NULL, at FLOAT NOT NULL, PRIMARY KEY (seq));
CREATE INDEX ix_receipts_table_uuid ON receipts (table_uuid);
CREATE TABLE outputs (run_key VARCHAR NOT NULL, node VARCHAR NOT NULL, "key" VARCHAR NOT NULL, files JSON NOT NULL,
  at FLOAT NOT NULL, PRIMARY KEY (run_key, node, "key"));
CREATE TABLE processes (run_id VARCHAR NOT NULL, host VARCHAR NOT NULL, pid INTEGER NOT NULL, created FLOAT NOT NULL,
  PRIMARY KEY (run_id));
"""


@pytest.fixture
def old_home(drls_home: Path) -> Settings:
    """A home of DRLS 0.1.0 in which a run of this process and one of a dead process have left their rows."""
    drls_home.mkdir(mode=0o700)
    settings = load_settings(drls_home)
    me, host = psutil.Process(), os.uname().nodename
    with closing(sqlite3.connect(drls_home / "runs.db")) as connection, connection:
        connection.executescript(OF_0_1_0)
        connection.execute("INSERT INTO pins VALUES ('run', '0', 'raw', '{\"snapshot\": 4611686018427387905}')")
        connection.execute("INSERT INTO receipts VALUES (7, 'uuid', 'main', 5, 'run', 'sink', '', '{\"s\": 6}', 1.5)")
        for name, pid, created in (("living", me.pid, me.create_time()), ("dead", me.pid, 5.0)):
            row = (name, "shop.sales", name, "session", "engine", host, pid, created, "open", 1.5)
            connection.execute("INSERT INTO branches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            connection.execute("INSERT INTO processes VALUES (?, ?, ?, ?)", (name, host, pid, created))
    return settings


def on_database(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"lifecycle": LifecycleSettings(url=url)})


def test_a_ledger_of_0_1_0_is_taken_over_with_all_that_it_knows(old_home: Settings) -> None:
    ledger = open_ledger(old_home)
    assert ledger.pin("run", "0", "raw", lambda: None) == {"snapshot": 4611686018427387905}
    assert ledger.publishes("uuid") == [PublishRecord("uuid", "main", 5, "run", "sink", "", {"s": 6})]
    ledger.record_publish(PublishRecord("uuid", "main", 8, "run", "sink", "", {}))
    assert [one.snapshot_id for one in ledger.publishes("uuid")] == [8, 5]
    assert ledger.checks("run", "raw", "key") is None, "its file may be older than that table"
    assert (ledger.life("living"), ledger.life("dead"), ledger.life("other")) == (Life.ALIVE, Life.DEAD, Life.UNKNOWN)
    assert [(one.branch, one.here) for one in ledger.debris()] == [("dead", True)]
    assert sorted(one.branch for one in ledger.branches()) == ["dead", "living"]


@pytest.mark.slow
def test_processes_that_take_it_over_at_once_all_succeed(old_home: Settings) -> None:
    script = (
        "from drls_dagster.ledger import open_ledger; from drls_dagster.settings import load_settings; "
        "print(len(open_ledger(load_settings()).branches()))"
    )
    processes = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate(timeout=120)[0] for process in processes] == ["2\n"] * 4


def test_a_file_that_is_something_else_is_left_as_it_is(drls_home: Path) -> None:
    drls_home.mkdir(mode=0o700)
    with closing(sqlite3.connect(drls_home / "runs.db")) as connection, connection:
        connection.execute("CREATE TABLE branches (name TEXT)")
    with pytest.raises(StoreError, match=r"runs\.db has a table branches that is not DRLS's"):
        open_ledger(load_settings(drls_home))
    with closing(sqlite3.connect(drls_home / "runs.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("branches",)]


def test_opening_a_ledger_that_is_there_locks_nothing(settings: Settings) -> None:
    open_ledger(settings).close()
    url = open_ledger(settings)._database._engine.url.render_as_string(hide_password=False)
    open_ledger(settings).close()
    other = open_engine(url)
    with other.connect().execution_options(drls_writes=True) as connection, connection.begin():
        connection.execute(sa.text("SELECT 1"))  # on SQLite this one has the file's lock
        assert open_ledger(settings).branches() == []
    other.dispose()


def test_a_ledger_of_a_newer_drls_is_refused(settings: Settings) -> None:
    database = open_ledger(settings)._database
    schema = "" if database._is_sqlite else "drls_runs."
    with database.write() as connection:
        connection.execute(sa.text(f"UPDATE {schema}ledger_version SET version_num = '9999'"))
    open_ledger(settings).close()
    with pytest.raises(StoreError, match="was written by a newer DRLS"):
        open_ledger(settings)


@pytest.mark.postgres
def test_on_postgresql_an_older_one_waits_for_drls_db_upgrade(drls_home: Path, postgres: PostgresServer) -> None:
    """Machines of the older DRLS may still use it."""
    settings = on_database(load_settings(drls_home), postgres.fresh_database())
    database = open_ledger(settings)._database
    with database.write() as connection:
        connection.execute(sa.text("UPDATE drls_runs.ledger_version SET version_num = '0001'"))
    open_ledger(settings).close()
    with pytest.raises(StoreError, match=r"schema drls_runs of .* is of an older DRLS; .* drls db upgrade"):
        open_ledger(settings)


@pytest.mark.postgres
def test_drls_db_brings_lifecycle_and_ledger_up_to_date(
    drls_home: Path,
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = postgres.fresh_database()
    monkeypatch.setenv("DRLS_LIFECYCLE__URL", url)
    assert run(["db", "upgrade", "--json"]) == 0
    where = f"schema drls_runs of {sa.make_url(url).render_as_string()}"
    assert json.loads(capsys.readouterr().out)["runs"] == {"store": where, "before": "empty", "now": "current"}

    database = open_ledger(load_settings(drls_home))._database
    with database.write() as connection:
        connection.exec_driver_sql("DROP SCHEMA drls_runs CASCADE")
        connection.exec_driver_sql(f"CREATE SCHEMA drls_runs; SET LOCAL search_path TO drls_runs; {OF_0_1_0}")
        connection.exec_driver_sql("CREATE TABLE ledger_version (version_num VARCHAR(32) PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO ledger_version VALUES ('0001')")
    close_ledgers()
    assert run(["db", "check"]) == 1
    assert "is of an older DRLS; back it up and run: drls db upgrade" in capsys.readouterr().err
    assert [one.state for one in run_checks() if one.check == "ledger"] == ["fail"]
    assert run(["db", "upgrade"]) == 0
    assert f"The ledger of runs, {where}, was upgraded." in capsys.readouterr().out
    assert run(["db", "check"]) == 0
    assert [one.state for one in run_checks() if one.check == "ledger"] == ["ok"]
    assert open_ledger(load_settings(drls_home)).branches() == []


def test_drls_db_upgrade_takes_a_ledger_of_0_1_0_over(old_home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["db", "upgrade"]) == 0
    assert f"{old_home.home / 'runs.db'}, was upgraded." in capsys.readouterr().out
    assert run(["db", "check"]) == 0


@pytest.mark.postgres
def test_a_role_that_may_not_make_the_schema_is_told_what_to_run(drls_home: Path, postgres: PostgresServer) -> None:
    url = sa.make_url(postgres.fresh_database())
    owner = open_engine(url.render_as_string(hide_password=False))
    with owner.begin() as connection:
        connection.execute(sa.text("CREATE ROLE worker LOGIN"))
    worker = url.set(username="worker").render_as_string(hide_password=False)
    settings = on_database(load_settings(drls_home), worker)
    remedy = "CREATE SCHEMA drls_runs AUTHORIZATION worker"
    with pytest.raises(StoreError, match=f"worker may not create or use schema drls_runs .* run: {remedy}$"):
        open_ledger(settings)
    with owner.begin() as connection:
        connection.execute(sa.text(remedy))
    assert open_ledger(settings).branches() == []
    owner.dispose()


@pytest.mark.postgres
def test_the_lifecycles_own_tables_are_in_another_schema(drls_home: Path, postgres: PostgresServer) -> None:
    url = postgres.fresh_database()
    open_ledger(on_database(load_settings(drls_home), url))
    engine = open_engine(url)
    found = sa.inspect(engine)
    assert found.get_table_names() == []
    assert "executions" in found.get_table_names(schema="drls_runs")
    engine.dispose()
    assert not (drls_home / "runs.db").exists()


def test_another_sqlite_file_for_the_lifecycle_leaves_the_ledger_in_the_home(drls_home: Path) -> None:
    settings = load_settings(drls_home)
    assert str(Database(f"sqlite:///{drls_home / 'runs.db'}")) == f"sqlite:///{drls_home / 'runs.db'}"
    other = on_database(settings, f"sqlite:///{drls_home / 'elsewhere.db'}")
    open_ledger(other)
    assert (drls_home / "runs.db").exists()
    assert Database(f"sqlite:///{drls_home / 'runs.db'}").state() is SchemaState.CURRENT
