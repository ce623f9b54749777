"""`drls db` looks after the database of chats as it does after the lifecycle's."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from agent.chat.store.database import Database
from drls_dagster.cli.main import run
from drls_dagster.settings import LifecycleSettings, Settings, load_settings
from tests.postgres_server import running_postgres

TOLD = pytest.CaptureFixture[str]


@pytest.fixture
def home(drls_home: Path, capsys: TOLD) -> Path:
    """With a lifecycle and chats of this DRLS."""
    assert run(["db", "upgrade"]) == 0
    Database(load_settings(drls_home)).close()
    capsys.readouterr()
    return drls_home


def set_version(home: Path, value: str) -> None:
    with closing(sqlite3.connect(home / "agent" / "chats.db")) as database, database:
        database.execute(f"UPDATE chats_version SET version_num = '{value}'")


def test_without_chats_it_makes_none(drls_home: Path, capsys: TOLD, tmp_path: Path) -> None:
    assert run(["db", "upgrade", "--json"]) == 0
    file = f"sqlite:///{drls_home}/agent/chats.db"
    assert json.loads(capsys.readouterr().out)["chats"] == {"store": file, "before": "current", "now": "current"}
    assert run(["db", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chats"] == {"store": file, "schema": "empty"}
    assert run(["db", "backup", str(tmp_path / "copy.db"), "--json"]) == 0
    assert "chats" not in json.loads(capsys.readouterr().out)
    assert not (drls_home / "agent").exists()
    assert not (tmp_path / "copy-chats.db").exists()


def test_a_backup_has_the_chats_next_to_it(home: Path, capsys: TOLD, tmp_path: Path) -> None:
    assert run(["db", "backup", str(tmp_path / "copy.db")]) == 0
    assert f"and the chats to {tmp_path / 'copy-chats.db'}." in capsys.readouterr().out
    assert (tmp_path / "copy-chats.db").stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(tmp_path / "copy-chats.db")) as copy:
        assert ("chats_version",) in copy.execute("SELECT name FROM sqlite_master").fetchall()
    assert home.exists()


def test_chats_of_a_newer_drls_are_refused(home: Path, capsys: TOLD) -> None:
    set_version(home, "9999")
    for command in ("check", "upgrade"):
        assert run(["db", command]) == 1
        assert "agent/chats.db were written by a newer DRLS" in capsys.readouterr().err


def test_damaged_chats_are_found(home: Path, capsys: TOLD) -> None:
    file = home / "agent" / "chats.db"
    data = bytearray(file.read_bytes())
    data[8192:12288] = b"\xff" * 4096
    file.write_bytes(data)
    assert run(["db", "check"]) == 1
    assert "the chats in sqlite:///" in (told := capsys.readouterr().err)
    assert "damaged" in told or "malformed" in told


@pytest.fixture
def postgres_url() -> Iterator[str]:
    with running_postgres() as server:
        yield server.fresh_database()


@pytest.mark.postgres
def test_on_postgresql_they_are_made_and_checked_in_their_schema(
    drls_home: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, capsys: TOLD
) -> None:
    monkeypatch.setenv("DRLS_LIFECYCLE__URL", postgres_url)
    where = f"schema drls_agent of {sa.make_url(postgres_url).render_as_string()}"
    assert run(["db", "upgrade", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chats"] == {"store": where, "before": "empty", "now": "current"}
    assert run(["db", "check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["chats"] == {"store": where, "schema": "current"}
    Database(Settings(home=drls_home, lifecycle=LifecycleSettings(url=postgres_url))).close()
    assert not (drls_home / "agent").exists()
