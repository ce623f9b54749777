"""One door for all tests of it: it takes seconds to open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drls_dagster import settings
from tests.security.door import Door, open_door


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with open_door(tmp_path_factory.mktemp("door")) as found:
        yield found


@pytest.fixture(autouse=True)
def _same_home(drls_home: Path, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home of the door, not a fresh one for each test."""
    for name, value in door.environment.items():
        monkeypatch.setenv(name, value)
    settings._load.cache_clear()
