"""Finding 22: what DRLS keeps is for its owner alone, whatever the home's mode and the umask."""

from __future__ import annotations

import logging
import os
import pwd
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from drls_dagster.cli.main import run
from drls_dagster.errors import UsageError
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.ledger import open_ledger
from drls_dagster.lifecycle_client.notifying import sender_of
from drls_dagster.settings import Settings, load_settings
from lifecycle.audit.keys import SigningKey
from lifecycle.store.schema import backup
from lifecycle.store.store import Store
from tests.fakes.clock import FakeClock

NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(os.getuid() != 0, reason="becoming another user needs root")


@pytest.fixture(autouse=True)
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def open_home(drls_home: Path) -> Settings:
    """A home that everybody may enter and write to, as a careless mkdir leaves it."""
    drls_home.mkdir(mode=0o777)
    return load_settings()


def modes(folder: Path) -> dict[str, int]:
    return {
        str(file.relative_to(folder)): stat.S_IMODE(file.stat().st_mode)
        for file in folder.rglob("*")
        if file.is_file() and (".db" in file.name or "secret" in file.name or file.suffix == ".pem")
    }


def test_databases_and_secrets_are_0600_in_an_open_home_with_umask_0(open_home: Settings) -> None:
    """Failed on 0.1.0: lifecycle.db, runs.db and catalog.db were 0666, and so were their -wal and -shm."""
    assert run(["whoami"]) == 0
    ledger = open_ledger(open_home)
    load_catalog(open_home).create_namespace("sales")
    # While somebody reads, SQLite keeps -wal and -shm.
    with closing(sqlite3.connect(open_home.home / "lifecycle.db")) as reader:
        reader.execute("SELECT count(*) FROM person").fetchone()
        assert run(["team", "add", "core"]) == 0
        found = modes(open_home.home)
    ledger.close()
    names = {"lifecycle.db", "lifecycle.db-wal", "lifecycle.db-shm", "runs.db", "secret", "secret.store"}
    assert names | {"catalog/catalog.db"} | {"signing-key.pem"} <= found.keys()
    assert {name: oct(mode) for name, mode in found.items() if mode & 0o077 and not name.endswith(".lock")} == {}


def test_databases_of_an_older_drls_are_closed_at_the_next_use(open_home: Settings) -> None:
    """Failed on 0.1.0."""
    assert run(["whoami"]) == 0
    load_catalog(open_home)
    open_ledger(open_home).close()
    for name in ("lifecycle.db", "runs.db", "catalog/catalog.db"):
        (open_home.home / name).chmod(0o644)
    with closing(sqlite3.connect(open_home.home / "lifecycle.db")) as reader:
        reader.execute("SELECT count(*) FROM person").fetchone()
        for companion in ("-wal", "-shm"):
            (open_home.home / f"lifecycle.db{companion}").chmod(0o644)
        assert run(["whoami"]) == 0
        open_ledger(open_home).close()
        load_catalog.__globals__["_load"].cache_clear()
        load_catalog(open_home)
        assert {name for name, mode in modes(open_home.home).items() if name[-4:] != "lock" and mode & 0o077} == set()


def test_an_open_home_is_closed_and_that_is_said_once(open_home: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """Failed on 0.1.0: only `drls doctor` mentioned it."""
    with caplog.at_level(logging.WARNING):
        assert [run(["whoami"]), run(["whoami"])] == [0, 0]
    said = [one.getMessage() for one in caplog.records if "DRLS_HOME" in one.getMessage()]
    assert said == [f"DRLS_HOME: other users could read {open_home.home}; it is now accessible only to you (chmod 700)"]
    assert stat.S_IMODE(open_home.home.stat().st_mode) == 0o700


@pytest.mark.parametrize("use", ["ledger", "catalog", "engine", "dagster"])
def test_every_way_into_the_home_closes_it(open_home: Settings, use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed on 0.1.0."""
    from drls_dagster.engine import state
    from drls_dagster.orchestrator.instance import dagster_home

    monkeypatch.setenv("DAGSTER_HOME", "")
    match use:
        case "ledger":
            open_ledger(open_home).close()
        case "catalog":
            load_catalog(open_home)
        case "engine":
            state.folder(open_home)
        case _:
            dagster_home(open_home)
    assert stat.S_IMODE(open_home.home.stat().st_mode) == 0o700


@as_root
@pytest.mark.parametrize("mode", [0o755, 0o710, 0o777])
def test_an_open_home_of_somebody_else_is_refused(
    open_home: Settings, mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Failed on 0.1.0: it was used."""
    os.chown(open_home.home, NOBODY.pw_uid, NOBODY.pw_gid)
    open_home.home.chmod(mode)
    assert run(["whoami"]) == 2
    assert f"ask its owner to run: chmod 700 {open_home.home}" in capsys.readouterr().err
    with pytest.raises(UsageError, match="belongs to another user"):
        open_ledger(open_home)
    assert list(open_home.home.iterdir()) == []


@as_root
def test_another_user_reads_nothing_of_it(open_home: Settings, tmp_path: Path) -> None:
    """The attack itself, by `nobody`, with every folder above the files open. Failed on 0.1.0."""
    assert run(["whoami"]) == 0
    copy = open_home.home / "copy.db"
    assert run(["db", "backup", str(copy)]) == 0
    open_ledger(open_home).close()
    load_catalog(open_home)
    names = ["lifecycle.db", "runs.db", "catalog/catalog.db", "copy.db", "secret", "signing-key.pem"]
    # Whoever opens the folder again later has still closed files.
    for folder in (open_home.home, *open_home.home.parents):
        if folder == Path(tmp_path.anchor):
            break
        folder.chmod(folder.stat().st_mode | 0o055)
    program = (
        "import sys\nfor one in sys.argv[1:]:\n  try: open(one).close(); print(one)\n  except PermissionError: pass"
    )
    attempt = subprocess.run(
        ["/usr/bin/python3", "-c", program, *(str(open_home.home / name) for name in names)],
        user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[], cwd="/", env={}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert attempt.stdout == ""


def test_a_backup_is_0600_whole_or_not_there(open_home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Failed on 0.1.0: 0666."""
    assert run(["whoami"]) == 0
    folder = open_home.home.parent / "backups"
    folder.mkdir(mode=0o777)
    assert run(["db", "backup", str(folder / "one.db")]) == 0
    assert {name: oct(mode) for name, mode in modes(folder).items()} == {"one.db": "0o600"}
    assert run(["db", "backup", str(folder / "one.db")]) == 1
    assert run(["db", "backup", str(folder / "missing" / "one.db")]) == 1
    assert "name another file" in capsys.readouterr().err
    with closing(sqlite3.connect(folder / "one.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert sorted(file.name for file in folder.iterdir() if not file.name.startswith("one.db-")) == ["one.db"]


def test_of_backups_to_one_file_at_once_one_stays(open_home: Settings) -> None:
    assert run(["whoami"]) == 0
    file = open_home.home / "copy.db"
    command = [sys.executable, "-m", "drls_dagster.cli.main", "db", "backup", str(file)]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)]
    for process in started:
        process.communicate(timeout=120)
    assert sorted(process.returncode for process in started) == [0, 1, 1]
    assert [one.name for one in open_home.home.iterdir() if one.name.startswith(".")] == []


@pytest.mark.postgres
def test_a_backup_of_postgresql_is_0600(tmp_path: Path) -> None:
    """Failed on 0.1.0: 0666."""
    from tests.postgres_server import running_postgres

    with running_postgres() as server:
        store = Store.create(server.fresh_database(), SigningKey.generate(), FakeClock())
        backup(store.engine, tmp_path / "copy.dump")
        store.close()
    assert oct(stat.S_IMODE((tmp_path / "copy.dump").stat().st_mode)) == "0o600"


def test_nobody_signs_with_an_empty_key(open_home: Settings) -> None:
    """The second of two first senders read the file before the first had written it. Failed on 0.1.0."""
    open_home.home.chmod(0o700)
    file = open_home.home / "webhook-secret"
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with ThreadPoolExecutor(8) as several:
        senders = list(several.map(lambda _: sender_of(open_home), range(8)))
    keys = {sender._secret for sender in senders}
    assert keys == {file.read_text().strip().encode()}
    assert len(keys.pop()) == 64


def test_first_senders_at_once_have_one_key(open_home: Settings) -> None:
    with ThreadPoolExecutor(8) as several:
        senders = list(several.map(lambda _: sender_of(open_home), range(16)))
    assert len({sender._secret for sender in senders}) == 1
    assert oct(stat.S_IMODE((open_home.home / "webhook-secret").stat().st_mode)) == "0o600"


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    from lifecycle.private_files import write_private

    file = tmp_path / "secret"
    write_private(file, "before")
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nimport lifecycle.private_files as it\n"
        "it._put = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "it.write_private(Path(sys.argv[1]), 'after')"
    )
    done = subprocess.run([sys.executable, "-c", program, str(file)], check=False)
    assert done.returncode == -9
    assert file.read_text() == "before"
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o600 for one in tmp_path.iterdir())


def test_a_link_in_the_way_is_replaced_and_not_followed(tmp_path: Path) -> None:
    from lifecycle.private_files import write_private

    target = tmp_path / "elsewhere"
    target.write_text("theirs")
    (tmp_path / "secret").symlink_to(target)
    write_private(tmp_path / "secret", "mine")
    assert (target.read_text(), (tmp_path / "secret").is_symlink()) == ("theirs", False)
    (tmp_path / "new").symlink_to(target)
    assert not write_private(tmp_path / "new", "mine", replace=False)
    assert target.read_text() == "theirs"
