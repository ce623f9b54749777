"""One home with every state, one location that offers all of it, for all tests of the gate."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from drls_dagster import settings
from drls_dagster.dagster_private.workspace import PythonFileTarget, WorkspaceProcessContext
from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from drls_dagster.orchestrator.instance import dagster_home
from drls_dagster.private_home import make_private
from drls_dagster.settings import load_settings
from lifecycle.audit import load_signing_key
from lifecycle.ports import SystemClock
from lifecycle.store.store import Store
from tests.drls_dagster.gate.town import Town
from tests.drls_dagster.gate.ways import LOCATION, Ways

HAND_MADE = Path(__file__).parent / "hand_made.py"


@pytest.fixture(scope="module")
def gate_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("gate")
    before = dict(os.environ)
    os.environ.update(DRLS_HOME=str(folder / "home"), HAND_MADE=str(folder / "files"))
    settings._load.cache_clear()
    yield folder / "home"
    os.environ.clear()
    os.environ.update(before)
    settings._load.cache_clear()


@pytest.fixture(scope="module")
def town(gate_home: Path) -> Iterator[Town]:
    found = load_settings(gate_home)
    make_private(gate_home)
    store = Store.create(store_url(found), load_signing_key(signing_key_file(found)), SystemClock())
    made = Town(found, store, gate_home)
    (gate_home.parent / "files").mkdir()
    made.write_files(gate_home.parent / "files")
    yield made
    store.close()


@pytest.fixture(scope="module")
def ways(town: Town) -> Iterator[Ways]:
    """A Dagster instance as drls sets it up, and the hand-made location in a server of its own."""
    folder = dagster_home(town.settings)
    target = PythonFileTarget(
        python_file=str(HAND_MADE),
        attribute="defs",
        working_directory=str(HAND_MADE.parents[3]),
        location_name=LOCATION,
    )
    with serving(dg.DagsterInstance.from_config(str(folder)), target) as found:
        yield found


@contextmanager
def serving(instance: dg.DagsterInstance, target: PythonFileTarget) -> Iterator[Ways]:
    """The ways into a code server; at the end it is gone, not only asked to go."""
    with instance:
        with WorkspaceProcessContext(instance, target) as process:
            yield Ways(instance, process)
        process._grpc_server_registry.wait_for_processes()


@pytest.fixture(autouse=True)
def _same_home(drls_home: Path, gate_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home of the module, not a fresh one for each test."""
    monkeypatch.setenv("DRLS_HOME", str(gate_home))
    monkeypatch.setenv("HAND_MADE", str(gate_home.parent / "files"))
    settings._load.cache_clear()
