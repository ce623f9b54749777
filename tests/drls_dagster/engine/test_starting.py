"""`kill -9` of who starts an engine, and what an engine leaves that ended by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from drls_dagster.engine import client, places
from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.state import read_state
from drls_dagster.settings import Settings, load_settings
from tests.waiting import wait_until

# A driver that has not come to say who it is.
STARTS = """
import sys
from pathlib import Path
from drls_dagster.engine import client
from drls_dagster.settings import load_settings
client._fetch_jars = lambda *_: None
client.DRIVER = ("-c", "import time; time.sleep(1000)")
client.ensure_engine(load_settings(Path(sys.argv[1])))
"""


@pytest.fixture
def settings(drls_home: Path) -> Settings:
    return load_settings(drls_home)


def test_a_start_that_was_killed_leaves_no_driver_that_nobody_knows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failed on 0.2.0: it went on next to the next engine, whose folders and state it then took."""
    with subprocess.Popen([sys.executable, "-c", STARTS, str(settings.home)]) as starter:
        try:
            wait_until(
                lambda: starter.poll() is not None or ((it := read_state(settings)) and processes_of(it.engine_id))
            )
            state = read_state(settings)
            assert state is not None
            assert (state.phase, state.pid) == ("starting", starter.pid)
        finally:
            starter.kill()
    assert client.status(settings).state == "dead"
    assert processes_of(state.engine_id)

    monkeypatch.setattr(client, "_fetch_jars", lambda *_: None)
    monkeypatch.setattr(client, "DRIVER", ("-c", "raise SystemExit(3)"))
    with pytest.raises(client.EngineError, match="the engine ended with 3"):
        client.ensure_engine(settings)
    assert processes_of(state.engine_id) == []
    assert client.status(settings).state == "stopped", "this process lives, and starts nothing any more"


def test_a_stop_ends_a_driver_whose_start_was_killed(settings: Settings) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTS, str(settings.home)]) as starter:
        try:
            wait_until(
                lambda: starter.poll() is not None or ((it := read_state(settings)) and processes_of(it.engine_id))
            )
        finally:
            starter.kill()
    state = read_state(settings)
    assert state is not None
    client.stop(settings)
    assert processes_of(state.engine_id) == []
    assert read_state(settings) is None


def test_a_folder_outside_of_the_home_is_found_again_after_an_engine_that_ended_by_itself(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is mounted in the engine, which cannot remove it. Failed on 0.2.0: the link to it was gone, and it stayed."""
    monkeypatch.setattr(places, "_LONGEST", 0)
    places.make_places(settings)
    folder = places.ray_folder(settings).parent
    (folder / "r" / "session").mkdir(parents=True)
    (folder / "file").write_text("")

    places.empty_places(settings)
    assert list(folder.iterdir()) == []
    assert not (settings.home / "engine" / "scratch").exists()
    assert not client.stop(settings)
    assert not folder.exists()
    assert not (settings.home / "engine" / "ray").is_symlink()
