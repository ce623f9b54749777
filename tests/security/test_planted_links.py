"""A link, or somebody else's file, in place of a file or folder of DRLS_HOME: refused in one line, and never followed."""

from __future__ import annotations

import os
import pwd
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from drls_dagster.cli.main import run
from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.kept_tokens import keep_token, kept_token
from drls_dagster.lakehouse import catalog
from drls_dagster.lakehouse.catalog import close_to_others, load_catalog
from drls_dagster.ledger import open_ledger
from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings, load_settings, reload_settings
from lifecycle.audit.keys import load_signing_key
from lifecycle.errors import StoreError
from lifecycle.private_files import write_private
from lifecycle.store.engine import open_engine

NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(os.getuid() != 0, reason="acting as another user needs root")


@pytest.fixture
def home(drls_home: Path) -> Path:
    return private_home(drls_home)


def store(settings: Settings) -> None:
    engine = open_engine(store_url(settings))
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def tables(settings: Settings) -> None:
    load_catalog(settings).list_namespaces()
    catalog._load.cache_clear()


def runs(settings: Settings) -> None:
    open_ledger(settings).close()


def token(settings: Settings) -> None:
    if kept_token(settings) is None:
        keep_token(settings, "mine")


def key(settings: Settings) -> None:
    load_signing_key(signing_key_file(settings))


USES: dict[str, Callable[[Settings], object]] = {
    "lifecycle.db": store,
    "runs.db": runs,
    "catalog/catalog.db": tables,
    "secret": token,
    "signing-key.pem": key,
}


@pytest.mark.parametrize("how", ["link", "link to nothing", "hard link"])
@pytest.mark.parametrize("name", USES)
def test_a1_a_link_in_place_of_a_file_is_not_followed(home: Path, name: str, how: str, tmp_path: Path) -> None:
    """What a run can do to the catalog's folder, and a careless owner to all of it. Failed on 0.2.0: each was used."""
    USES[name](load_settings())
    file, elsewhere = home / name, tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = elsewhere / "theirs"
    if how == "link to nothing":
        file.unlink()
    else:
        file.rename(target)  # a database or a secret that it could go on with
        target.chmod(0o600 if name in ("secret", "signing-key.pem") else 0o644)
    before = (target.read_bytes(), target.stat().st_mode) if target.exists() else None
    if how == "hard link":
        os.link(target, file)
    else:
        file.symlink_to(target)

    with pytest.raises(DrlsError, match=r"is a link, which|has another name elsewhere \(a hard link") as refused:
        USES[name](load_settings())
    assert str(file) in refused.value.message
    assert "\n" not in refused.value.message
    assert before == ((target.read_bytes(), target.stat().st_mode) if target.exists() else None)
    assert [one.name for one in elsewhere.iterdir()] == ([] if before is None else ["theirs"])


def test_a_command_says_it_in_one_line(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["whoami"]) == 0
    capsys.readouterr()
    (home / "lifecycle.db").rename(tmp_path / "theirs.db")
    (home / "lifecycle.db").symlink_to(tmp_path / "theirs.db")
    assert run(["whoami"]) == 1
    said = capsys.readouterr().err
    assert f"{home / 'lifecycle.db'} is a link, which DRLS does not follow; look who put it there" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("companion", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("name", ["lifecycle.db", "runs.db", "catalog/catalog.db"])
def test_a1_a_link_in_place_of_what_sqlite_keeps_next_to_it_changes_no_other_file(
    home: Path, name: str, companion: str, tmp_path: Path
) -> None:
    """Failed on 0.2.0: the mode of the file that it led to was changed, such as that of /etc/passwd where root runs it."""
    target = tmp_path / "passwd"
    target.write_text("root:x:0:0")
    target.chmod(0o644)
    USES[name](load_settings())
    file = home / f"{name}{companion}"
    file.unlink(missing_ok=True)
    file.symlink_to(target)

    with pytest.raises(DrlsError, match=f"{file.name} is a link, which DRLS does not follow"):
        USES[name](load_settings())

    assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("root:x:0:0", 0o644)
    if name.startswith("catalog"):
        with pytest.raises(DrlsError, match="is a link"):
            close_to_others(load_settings())


@pytest.mark.parametrize("back", [True, False], ids=["and goes again", "and stays"])
def test_a1_a_link_that_comes_while_a_database_is_opened_leads_to_no_change(
    home: Path, back: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What SQLite opened is asked, and not what is at the name before or after."""
    tables(load_settings())
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as made:
        made.execute("CREATE TABLE theirs (x)")
    before = other.read_bytes()
    file, kept = home / "catalog" / "catalog.db", home / "catalog" / "kept"
    connect = sqlite3.connect

    def led_elsewhere(database: Path, timeout: float) -> sqlite3.Connection:
        file.rename(kept)
        file.symlink_to(other)
        connection = connect(database, timeout=timeout)
        connection.execute("SELECT count(*) FROM sqlite_master")
        if back:
            file.unlink()
            kept.rename(file)
        return connection

    monkeypatch.setattr(catalog.sqlite3, "connect", led_elsewhere)
    with pytest.raises(StoreError, match=r"leads to .*other.db; look who put a link there"):
        catalog._use_write_ahead_log(file)
    assert other.read_bytes() == before
    assert [one.name for one in tmp_path.glob("other.db-*")] == []


def test_what_an_engine_opened_elsewhere_is_not_used(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for the store, at a moment that is certain."""
    store(load_settings())
    other = tmp_path / "other.db"
    file = home / "lifecycle.db"

    def late(_: Path) -> None:
        file.rename(other)
        file.symlink_to(other)

    monkeypatch.setattr("lifecycle.store.engine.private_database", late)
    engine = open_engine(f"sqlite:///{file}")
    with pytest.raises(StoreError, match=r"leads to .*other.db; look who put a link there"):
        engine.connect()
    engine.dispose()


def test_a_writer_that_was_killed_is_no_hard_link_of_somebody(tmp_path: Path) -> None:
    """It puts a file in place by a second name, which stays when it is killed in between."""
    file = tmp_path / "signing-key.pem"
    key = load_signing_key(file)
    os.link(file, tmp_path / f".{file.name}.{'0' * 16}")
    assert load_signing_key(file).public == key.public
    os.link(file, tmp_path / f".{file.name}.mine")
    with pytest.raises(StoreError, match="has another name elsewhere"):
        load_signing_key(file)


@as_root
@pytest.mark.parametrize("what", ["link", "file", "folder", "link to a folder"])
@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed since"])
def test_a1_what_another_account_put_into_an_open_home_is_refused(
    drls_home: Path, tmp_path: Path, what: str, closed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """The attack itself, by `nobody`: store, key, settings, token or a folder of theirs. Failed on 0.2.0: all were used."""
    drls_home.mkdir()
    drls_home.chmod(0o777)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for folder in (theirs, *drls_home.parents):
        if folder == Path(tmp_path.anchor):
            break
        folder.chmod(0o777 if folder == theirs else folder.stat().st_mode | 0o055)
    names = {
        "link": ["lifecycle.db", "runs.db", "secret", "signing-key.pem", "drls.toml"],
        "file": ["lifecycle.db", "runs.db", "secret", "signing-key.pem", "drls.toml"],
        "folder": ["catalog", "engine", "pipelines", "dagster"],
        "link to a folder": ["catalog", "engine", "logs", "warehouse"],
    }[what]
    act = {
        "link": "os.symlink(theirs + '/' + name, home + '/' + name)",
        "file": "os.close(os.open(home + '/' + name, os.O_CREAT, 0o600))",
        "folder": "os.mkdir(home + '/' + name, 0o700)",
        "link to a folder": "os.mkdir(theirs + '/' + name, 0o777); os.symlink(theirs + '/' + name, home + '/' + name)",
    }[what]
    for name in names:
        as_nobody(f"import os\nhome, theirs, name = {str(drls_home)!r}, {str(theirs)!r}, {name!r}\n{act}")
        if closed:
            drls_home.chmod(0o700)
        with pytest.raises(UsageError, match=f"{name} belongs to the account nobody"):
            reload_settings(drls_home)
        assert run(["whoami"]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert f"chown -hR 0 {drls_home / name}" in said
        place = drls_home / name
        place.rmdir() if what == "folder" else place.unlink()
        drls_home.chmod(0o777)
    assert [one for one in theirs.rglob("*") if not one.is_dir()] == [], "nothing was written there"
    assert list(drls_home.iterdir()) == []


@as_root
def test_what_comes_between_the_first_look_and_the_closing_is_refused_too(drls_home: Path) -> None:
    drls_home.mkdir()
    drls_home.chmod(0o777)
    settings = load_settings()
    (drls_home / "engine").mkdir()
    os.chown(drls_home / "engine", NOBODY.pw_uid, NOBODY.pw_gid)
    with pytest.raises(UsageError, match="engine belongs to the account nobody"):
        private_home(settings.home, "engine")


@as_root
def test_root_works_in_a_home_that_is_another_accounts(drls_home: Path) -> None:
    """It belongs to them, and so may what is in it."""
    assert run(["whoami"]) == 0
    for one in (drls_home, *drls_home.rglob("*")):
        os.chown(one, NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)
    reload_settings(drls_home)
    assert run(["whoami"]) == 0


def test_own_links_to_folders_and_settings_stay_what_they_are(drls_home: Path, tmp_path: Path) -> None:
    """A warehouse on another disk, settings from a repository."""
    drls_home.mkdir(mode=0o700)
    (tmp_path / "disk").mkdir()
    (drls_home / "warehouse").symlink_to(tmp_path / "disk")
    (tmp_path / "drls.toml").write_text("[engine]\ncores = 1\n")
    (drls_home / "drls.toml").symlink_to(tmp_path / "drls.toml")
    settings = reload_settings(drls_home)
    assert settings.engine.cores == 1
    load_catalog(settings).create_namespace("sales")
    write_private(drls_home / "secret", "x")
    assert kept_token(settings) == "x"


def as_nobody(program: str) -> None:
    subprocess.run(
        ["/usr/bin/python3", "-c", program],
        user=NOBODY.pw_uid, group=NOBODY.pw_gid, extra_groups=[], umask=0, cwd="/", env={}, check=True,
    )  # fmt: skip
