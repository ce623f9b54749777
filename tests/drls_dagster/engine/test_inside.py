"""What runs in the engine can change its folder; the platform opens no file by a link that was put there."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from pathlib import Path

import psutil
import pytest

from drls_dagster.engine import client
from drls_dagster.engine import state as st
from drls_dagster.engine.inside import open_inside
from drls_dagster.errors import DrlsError
from drls_dagster.settings import load_settings


@pytest.fixture
def victim(drls_home: Path) -> Path:
    """A file of the platform next to the engine's folder."""
    (drls_home / "engine").mkdir(parents=True)
    drls_home.chmod(0o700)
    victim = drls_home / "lifecycle.db"
    victim.write_text("the store")
    return victim


@pytest.mark.parametrize("mode", ["w", "a", "r"])
@pytest.mark.parametrize("how", ["symbolic link", "second name", "folder of it", "pipe"])
def test_a_file_of_the_engine_is_not_opened_through_a_link(victim: Path, mode: str, how: str) -> None:
    engine = victim.parent / "engine"
    match how:
        case "symbolic link":
            (engine / "driver.log").symlink_to(victim)
        case "second name":
            (engine / "driver.log").hardlink_to(victim)
        case "pipe":
            os.mkfifo(engine / "driver.log")
        case _:
            (engine / "logs").symlink_to(victim.parent)
    name = "logs/lifecycle.db" if how == "folder of it" else "driver.log"
    with pytest.raises(DrlsError, match="is not a file of its own"), open_inside(engine, name, mode):
        pass
    assert victim.read_text() == "the store"


def test_a_file_of_the_engine_is_made_and_cut_off_and_continued(victim: Path) -> None:
    engine = victim.parent / "engine"
    for mode, text in (("w", "first"), ("w", "one"), ("a", "two")):
        with open_inside(engine, "driver.log", mode) as file:
            file.write(text)
    assert (engine / "driver.log").read_text() == "onetwo"
    assert (engine / "driver.log").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["leases.lock", "leases", "last_used"])
def test_whoever_uses_the_engine_changes_no_file_that_a_link_in_its_folder_leads_to(victim: Path, name: str) -> None:
    """Opening the lock cut off whatever it led to, such as the store."""
    (victim.parent / "engine" / name).symlink_to(victim if name != "leases" else victim.parent)
    before = {path.name for path in victim.parent.iterdir()}
    with pytest.raises(DrlsError, match="is not a file of its own"), st.lease(load_settings(victim.parent)):
        pass
    assert victim.read_text() == "the store"
    assert {path.name for path in victim.parent.iterdir()} == before


@pytest.mark.parametrize("engine_id", [None, "", 7])
def test_a_state_without_an_id_is_none_so_that_nothing_else_is_ended(victim: Path, engine_id: object) -> None:
    """Processes of an engine are found by their mark; "no mark" would be those of everything else."""
    said = {"engine_id": engine_id, "pid": os.getpid(), "created": psutil.Process().create_time(), "phase": "running"}
    (victim.parent / "engine" / "state.json").write_text(json.dumps({**said, "detail": "", "settings": ""}))
    settings = load_settings(victim.parent)
    assert st.read_state(settings) is None
    assert client.stop(settings, force=True) is False


def test_stopping_an_engine_ends_no_process_that_only_its_state_names(victim: Path) -> None:
    settings = load_settings(victim.parent)
    with subprocess.Popen(["sleep", "600"]) as other:
        created = psutil.Process(other.pid).create_time()
        st.write_state(settings, st.EngineState(uuid.uuid4().hex, other.pid, created, "running", "", ""))
        client.stop(settings, force=True)
        assert other.poll() is None
        other.kill()
