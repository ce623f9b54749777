"""`drls backup` and `drls restore`: what they refuse, and what a kill leaves."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from drls_dagster import settings
from drls_dagster.backups.manifest import FILE
from drls_dagster.backups.sqlite_files import copy, pinned
from drls_dagster.cli.main import run
from drls_dagster.ledger import close_ledgers, open_ledger
from lifecycle.errors import StoreError
from lifecycle.store.engine import open_engine
from lifecycle.store.schema import run_program

Said = pytest.CaptureFixture[str]


@pytest.fixture
def home(drls_home: Path, capsys: Said) -> Path:
    """A home after its first start, in which something ran."""
    assert run(["whoami"]) == 0
    open_ledger(settings.load_settings()).pin("run-1", "", "raw", lambda: 7)
    close_ledgers()
    capsys.readouterr()
    return drls_home


@pytest.fixture
def backup(home: Path, tmp_path: Path, capsys: Said) -> Path:
    assert run(["backup", str(tmp_path / "backup")]) == 0
    capsys.readouterr()
    return tmp_path / "backup"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another DRLS_HOME, on a machine without a lifecycle."""
    monkeypatch.setenv("DRLS_HOME", str(tmp_path / "empty"))
    settings._load.cache_clear()
    return tmp_path / "empty"


def refused(capsys: Said, *command: str) -> str:
    """What a command says that fails: one line."""
    assert run(list(command)) == 1
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1, said
    return said


def test_a_restored_home_opens_with_its_token_and_its_log_is_whole(backup: Path, empty: Path, capsys: Said) -> None:
    assert run(["restore", str(backup)]) == 0
    assert "The audit log is whole" in capsys.readouterr().out
    assert run(["whoami"]) == 0
    assert capsys.readouterr().out.startswith("admin")
    assert run(["db", "check"]) == 0
    assert run(["audit", "verify"]) == 0
    capsys.readouterr()
    assert run(["audit", "log", "--verb", "installation.restored", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["actor"]["name"] == "restore"


def test_a_backup_and_what_is_restored_are_for_their_owner_alone(
    home: Path, tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0)
    try:
        monkeypatch.setenv("DRLS_HOME", str(home))
        settings._load.cache_clear()
        assert run(["backup", str(tmp_path / "backup")]) == 0
        monkeypatch.setenv("DRLS_HOME", str(empty))
        settings._load.cache_clear()
        assert run(["restore", str(tmp_path / "backup")]) == 0
    finally:
        os.umask(before)
    for folder in (tmp_path / "backup", empty):
        for one in (folder, *folder.rglob("*")):
            assert one.stat().st_mode & 0o077 == 0, one


def test_what_is_there_is_never_overwritten(home: Path, backup: Path, capsys: Said) -> None:
    store = (home / "lifecycle.db").read_bytes()
    assert "is in use" in refused(capsys, "restore", str(backup))
    assert (home / "lifecycle.db").read_bytes() == store
    assert "already exists" in refused(capsys, "backup", str(backup))
    assert "would be lost with it" in refused(capsys, "backup", str(home / "backup"))


def test_a_folder_with_something_else_in_it_is_no_empty_home(backup: Path, empty: Path, capsys: Said) -> None:
    empty.mkdir()
    (empty / "thesis.txt").touch()
    assert "it has thesis.txt" in refused(capsys, "restore", str(backup))
    (empty / "thesis.txt").unlink()
    (empty / "warehouse").mkdir()
    assert run(["restore", str(backup)]) == 0


@pytest.mark.parametrize("name", ["lifecycle.db", "runs.db", "signing-key.pem", FILE])
@pytest.mark.parametrize("how", ["changed", "cut", "gone", "linked"])
def test_a_damaged_backup_is_one_line_and_restores_nothing(
    backup: Path, empty: Path, capsys: Said, name: str, how: str
) -> None:
    file = backup / name
    data = file.read_bytes()
    match how:
        case "changed":
            file.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
        case "cut":
            file.write_bytes(data[: len(data) // 2])
        case "gone":
            file.unlink()
        case _:
            (backup / "elsewhere").write_bytes(data)
            file.unlink()
            file.symlink_to("elsewhere" if name != FILE else "nowhere")
    said = refused(capsys, "restore", str(backup))
    assert str(backup) in said
    assert "use another one" in said
    assert not empty.exists()


def test_a_backup_of_another_drls_is_refused_with_its_version(backup: Path, empty: Path, capsys: Said) -> None:
    manifest = json.loads((backup / FILE).read_text())
    (backup / FILE).write_text(json.dumps({**manifest, "format": 2}))
    assert "newer DRLS" in refused(capsys, "restore", str(backup))


def test_a_store_that_somebody_edited_is_found_before_it_is_restored(
    home: Path, tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    with closing(sqlite3.connect(home / "lifecycle.db")) as database, database:
        database.execute("UPDATE person SET name = 'mallory'")
    monkeypatch.setenv("DRLS_HOME", str(home))
    settings._load.cache_clear()
    assert run(["backup", str(tmp_path / "backup")]) == 0
    monkeypatch.setenv("DRLS_HOME", str(empty))
    settings._load.cache_clear()
    capsys.readouterr()
    assert run(["restore", str(tmp_path / "backup")]) == 1
    assert "person" in capsys.readouterr().err
    assert not (empty / "lifecycle.db").exists()
    assert not (empty / "signing-key.pem").exists()


def killed(program: str, *command: str) -> None:
    """Runs `drls` in a process that kills itself where `program` says so."""
    script = f"import os, shutil, signal\n{program}\nfrom drls_dagster.cli.main import run\nrun({list(command)!r})"
    done = subprocess.run([sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_killed_backup_is_none_and_the_next_one_clears_it_away(home: Path, tmp_path: Path, capsys: Said) -> None:
    kill = "from drls_dagster.backups import making\nmaking.written = lambda _: os.kill(os.getpid(), signal.SIGKILL)"
    killed(kill, "backup", str(tmp_path / "backup"))
    assert not (tmp_path / "backup").exists()
    (left,) = tmp_path.glob(".backup.partial-*")
    assert "no whole backup" in refused(capsys, "restore", str(left))
    assert run(["backup", str(tmp_path / "backup")]) == 0
    assert not left.exists()


@pytest.mark.parametrize("moves", [0, 1, 3])
def test_a_killed_restore_is_repeated(backup: Path, empty: Path, moves: int) -> None:
    kill = (
        "moved, move = [], shutil.move\n"
        "def moving(*given):\n"
        f"    if len(moved) == {moves}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    moved.append(move(*given))\n"
        "shutil.move = moving"
    )
    killed(kill, "restore", str(backup))
    assert not (empty / "lifecycle.db").exists()
    assert run(["restore", str(backup)]) == 0
    assert not (empty / ".restoring").exists()
    assert run(["db", "check"]) == 0


def test_a_restore_that_was_killed_after_its_last_file_is_complete(backup: Path, empty: Path, capsys: Said) -> None:
    assert run(["restore", str(backup)]) == 0
    (empty / ".restoring").mkdir()
    capsys.readouterr()
    assert "is restored already" in refused(capsys, "restore", str(backup))
    assert not (empty / ".restoring").exists()
    assert run(["db", "check"]) == 0


def test_copies_are_of_one_moment_whatever_is_written_meanwhile(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("lifecycle.db", "runs.db")}
    for file in files.values():
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE t (n)")
    with pinned(files, "lifecycle.db") as opened:
        for file in files.values():
            with closing(sqlite3.connect(file, timeout=0)) as database, database:
                database.execute("INSERT INTO t VALUES (1)")
        for name, connection in opened.items():
            copy(connection, tmp_path / f"copy-{name}")
    for name in files:
        with closing(sqlite3.connect(tmp_path / f"copy-{name}")) as database:
            assert database.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_no_process_list_shows_the_password_of_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "pg_dump"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\necho "$PGPASSWORD" > {tmp_path}/password\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    engine = open_engine("postgresql+psycopg2://drls:hunter-2@db.example.org:5432/drls")
    run_program(engine, "pg_dump", "--format=custom")
    shown = (tmp_path / "arguments").read_text()
    assert "hunter" not in shown
    assert "--dbname=postgresql://drls@db.example.org:5432/drls" in shown
    assert (tmp_path / "password").read_text().strip() == "hunter-2"
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(StoreError, match="client programs of PostgreSQL"):
        run_program(engine, "pg_restore")
