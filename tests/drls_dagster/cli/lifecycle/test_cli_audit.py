"""audit log, verify, export, anchor; db upgrade, check, backup."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.drls_dagster.cli.lifecycle.shell import Shell


def test_the_log_says_who_did_what_and_through_what(shell: Shell) -> None:
    shell.save()
    (entry,) = shell("audit", "log", "--verb", "version.saved", "--json", by="vic").json
    assert (entry["actor"]["name"], entry["actor"]["way_in"], entry["subject"]) == ("ada", "cli", "pipeline:flights")
    assert entry["actor"]["os_user"]
    assert "version.saved" in shell("audit", "log", "--limit", "5", by="vic").out


def test_an_exported_log_is_checked_offline(shell: Shell, tmp_path: Path) -> None:
    file, anchor = tmp_path / "log.jsonl", tmp_path / "anchor.jsonl"
    assert "The log is whole" in shell("audit", "verify", by="vic").out
    shell("audit", "anchor", str(anchor), by="vic")
    shell("audit", "export", str(file), by="vic")
    assert "is there already" in shell("audit", "export", str(file), by="vic", fails=1).err
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
            lines[3] = lines[3].replace("ada", "eve")
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


def test_a_rewritten_store_is_found_by_its_anchor(shell: Shell, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor.jsonl"
    before = (shell.home / "lifecycle.db").read_bytes()
    shell.save()
    shell("audit", "anchor", str(anchor))
    (shell.home / "lifecycle.db").write_bytes(before)
    shell("audit", "verify")
    assert "its end was cut off" in shell("audit", "verify", "--anchor", str(anchor), fails=1).err


def test_wrong_files_and_keys_are_wrong_use(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    file.write_text('{"a": 1}\n')
    assert "is no exported audit log" in shell("audit", "verify", str(file), by=None, fails=2).err
    assert "holds no anchors" in shell("audit", "verify", "--anchor", str(file), fails=2).err
    assert "64 hexadecimal digits" in shell("audit", "verify", "--key", "x", fails=2).err


def test_the_database_is_made_checked_and_copied(fresh: Shell, tmp_path: Path) -> None:
    assert "drls db upgrade" in fresh("db", "check", by=None, fails=1).err
    assert "is made" in fresh("db", "upgrade", by=None).out
    assert "was current already" in fresh("db", "upgrade", by=None).out
    assert fresh("db", "check", "--json", by=None).json["schema"] == "current"
    copy = tmp_path / "copy.db"
    fresh("db", "backup", str(copy), by=None)
    assert "is there already" in fresh("db", "backup", str(copy), by=None, fails=1).err
    (fresh.home / "lifecycle.db").write_bytes(copy.read_bytes())
    assert "admin" in fresh("whoami", by=None).out


def test_a_database_of_a_newer_drls_is_refused(shell: Shell) -> None:
    with closing(sqlite3.connect(shell.home / "lifecycle.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'later'")
    for command in (("whoami",), ("db", "check"), ("db", "upgrade")):
        assert "newer DRLS" in shell(*command, fails=1).err


def test_a_damaged_database_is_found(shell: Shell) -> None:
    file = shell.home / "lifecycle.db"
    data = bytearray(file.read_bytes())
    data[-8192:-4096] = b"\xff" * 4096
    file.write_bytes(data)
    shell("db", "check", fails=1)


def test_a_database_that_is_not_there_is_one_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRLS_LIFECYCLE__URL", f"sqlite:///{shell.home}/nowhere/lifecycle.db")
    said = shell("whoami", fails=1)
    assert len(said.err.splitlines()) == 1
    assert "cannot open sqlite" in said.err
