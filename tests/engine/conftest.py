"""One engine for all tests here: started once, used by every test, gone at the end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab

from drls_dagster.engine import client
from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.state import read_state
from drls_dagster.settings import Settings, load_settings

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The settings of a home with a running engine.

    DRLS_TEST_HOME names a home whose engine stays warm between test runs: for development.
    """
    kept = os.environ.get("DRLS_TEST_HOME")
    home = Path(kept) if kept else tmp_path_factory.mktemp("drls")
    settings = load_settings(home)
    client.ensure_engine(settings)
    yield settings
    if kept:
        return
    state = read_state(settings)
    client.stop(settings, force=True)
    assert state is None or not processes_of(state.engine_id), "the engine left a process"


@pytest.fixture
def lab(engine: Settings, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Tables, files and pipelines of this test alone."""
    monkeypatch.setenv("DRLS_HOME", str(engine.home))
    stem = re.sub(r"\W+", "_", request.node.name).lower()[:30].strip("_")
    with Lab(engine, stem) as made:
        yield made
