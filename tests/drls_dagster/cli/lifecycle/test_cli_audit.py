"""audit log, verify, export, anchor; db upgrade, check, backup."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from drls_dagster.cli import doctor_checks
from drls_dagster.settings import load_settings
from lifecycle.audit import load_signing_key
from tests.drls_dagster.cli.lifecycle.shell import Shell


def test_the_log_says_who_did_what_and_through_what(shell: Shell) -> None:
    shell.save()
    (entry,) = shell("audit", "log", "--verb", "version.saved", "--json").json
    assert (entry["actor"]["name"], entry["subject"]) == ("ada", "pipeline:flights")
    assert entry["actor"]["way_in"] == ("rest" if shell.url else "cli")
    assert bool(entry["actor"]["os_user"]) == (shell.url is None)
    assert "version.saved" in shell("audit", "log", "--limit", "5").out


def test_an_exported_log_is_checked_offline(shell: Shell, tmp_path: Path) -> None:
    file, anchor = tmp_path / "log.jsonl", tmp_path / "anchor.jsonl"
    assert "The log is intact" in shell("audit", "verify").out
    shell("audit", "anchor", str(anchor))
    shell("audit", "export", str(file))
    assert "already exists" in shell("audit", "export", str(file), fails=1).err
    key = json.loads(anchor.read_text())["key"]
    for trust in ([], ["--anchor", str(anchor)], ["--key", key]):
        assert shell("audit", "verify", str(file), *trust, "--json", by=None).json["findings"] == []


@pytest.mark.parametrize("harm", ["edit", "delete", "tail", "reorder"])
def test_every_harm_to_an_exported_log_is_found(shell: Shell, tmp_path: Path, harm: str) -> None:
    file = tmp_path / "log.jsonl"
    shell("audit", "export", str(file))
    lines = file.read_text().splitlines()
    match harm:
        case "edit":
            lines[3] = lines[3].replace('"verb":"', '"verb":"un')
        case "delete":
            del lines[3]
        case "tail":
            del lines[-1]
        case _:
            lines[3], lines[4] = lines[4], lines[3]
    file.write_text("\n".join(lines))
    said = shell("audit", "verify", str(file), by=None, fails=1)
    assert "entr" in said.err
    assert not said.out


def test_a_rewritten_store_is_found_by_its_anchor(local: Shell, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor.jsonl"
    before = (local.home / "lifecycle.db").read_bytes()
    local.save()
    local("audit", "anchor", str(anchor))
    (local.home / "lifecycle.db").write_bytes(before)
    local("audit", "verify")
    assert "its end was cut off" in local("audit", "verify", "--anchor", str(anchor), fails=1).err


def test_wrong_files_and_keys_are_wrong_use(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    file.write_text('{"a": 1}\n')
    assert "is not an audit log export" in shell("audit", "verify", str(file), by=None, fails=2).err
    (binary := tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x9c" * 64)
    for other in (binary, tmp_path / "nothing"):
        other.touch()
        assert "is not an audit log export" in shell("audit", "verify", str(other), by=None, fails=2).err
    assert "not valid JSON" in shell("audit", "verify", "--anchor", str(binary), fails=2).err
    assert "contains no anchors" in shell("audit", "verify", "--anchor", str(file), fails=2).err
    assert "64 hexadecimal digits" in shell("audit", "verify", "--key", "x", fails=2).err


def test_the_database_is_made_checked_and_copied(fresh: Shell, tmp_path: Path) -> None:
    assert "drls db upgrade" in fresh("db", "check", by=None, fails=1).err
    assert "was created" in fresh("db", "upgrade", by=None).out
    assert "is already up to date" in fresh("db", "upgrade", by=None).out
    assert fresh("db", "check", "--json", by=None).json["schema"] == "current"
    copy = tmp_path / "copy.db"
    fresh("db", "backup", str(copy), by=None)
    assert "already exists" in fresh("db", "backup", str(copy), by=None, fails=1).err
    (fresh.home / "lifecycle.db").write_bytes(copy.read_bytes())
    assert "admin" in fresh("whoami", by=None).out


def test_a_database_of_a_newer_drls_is_refused(local: Shell) -> None:
    with closing(sqlite3.connect(local.home / "lifecycle.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'later'")
    for command in (("whoami",), ("db", "check"), ("db", "upgrade")):
        assert "newer DRLS" in local(*command, fails=1).err


def test_a_damaged_database_is_found(local: Shell) -> None:
    file = local.home / "lifecycle.db"
    data = bytearray(file.read_bytes())
    data[-8192:-4096] = b"\xff" * 4096
    file.write_bytes(data)
    local("db", "check", fails=1)


def test_a_database_that_is_not_there_is_one_line(local: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRLS_LIFECYCLE__URL", f"sqlite:///{local.home}/nowhere/lifecycle.db")
    said = local("whoami", fails=1)
    assert len(said.err.splitlines()) == 1
    assert "cannot open sqlite" in said.err


def test_a1_doctor_says_who_owns_the_store(local: Shell) -> None:
    found = doctor_checks.lifecycle(load_settings())
    assert found.state == "ok"
    assert "anyone who can write to it or read its keys controls its contents" in found.detail
    with closing(sqlite3.connect(local.home / "lifecycle.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'later'")
    assert doctor_checks.lifecycle(load_settings()).state == "fail"


def test_doctor_makes_no_store(fresh: Shell) -> None:
    assert "is created on first use" in doctor_checks.lifecycle(load_settings()).detail
    assert not fresh.home.exists()


def test_a_row_edited_in_the_database_is_named(shell: Shell) -> None:
    """Finding 14; on 0.1.0 `audit verify` said whole and `db check` said sound."""
    assert "rows match it" in shell("audit", "verify").out
    assert shell("db", "check", "--json", by=None).json["rows"] > 10
    with closing(sqlite3.connect(shell.home / "lifecycle.db")) as database, database:
        database.execute(
            "UPDATE access_grant SET role = 'Admin' WHERE person_id = (SELECT id FROM person WHERE name = 'vic')"
        )
        database.execute("INSERT INTO team (name, created_at) VALUES ('mallory', '2026-01-01 00:00:00')")
    for command in (("audit", "verify"), ("db", "check")):
        told = shell(*command, fails=1).err
        assert "access_grant 5 was changed outside DRLS: it is not what entry" in told
        assert "by admin" in told
        assert "team 1 was added outside DRLS: no entry names it" in told
    found = shell("audit", "verify", "--json", fails=1).json["findings"]
    assert [one["harm"] for one in found] == ["row_added", "row_changed"]


def test_an_exported_log_carries_the_digests(shell: Shell, tmp_path: Path) -> None:
    """Finding 14: the log can be checked without the store, the digests in it too."""
    file = tmp_path / "log.jsonl"
    shell("audit", "export", str(file))
    assert "The log is intact" in shell("audit", "verify", str(file), by=None).out
    lines = file.read_text().splitlines()
    digest = next(iter(json.loads(lines[-1])["rows"].values()))[1]
    file.write_text("\n".join([*lines[:-1], lines[-1].replace(digest, "0" * 64)]))
    assert "was edited" in shell("audit", "verify", str(file), by=None, fails=1).err


def test_a_swapped_signing_key_stays_an_error_after_the_next_write(local: Shell) -> None:
    """Finding 14; on 0.1.0 the next write signed everything with the new key."""
    old = local.home / "signing-key.pem"
    kept = old.read_bytes()
    old.unlink()
    local("team", "add", "core")
    for command in (("audit", "verify"), ("db", "check")):
        assert "signed by the unknown key" in local(*command, fails=1).err
    local("team", "add", "other")
    assert "signed by the unknown key" in local("db", "check", by=None, fails=1).err
    before = local.home / "before.pem"
    before.write_bytes(kept)
    before.chmod(0o600)
    trusted = load_signing_key(before).public
    assert "The log is intact" in local("audit", "verify", "--key", trusted).out
    local("db", "check", "--key", trusted, by=None)
