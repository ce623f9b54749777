"""What all tests share: a DRLS_HOME of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drls_dagster import settings


@pytest.fixture(autouse=True)
def drls_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DRLS_HOME in a temporary folder, not made yet; no DRLS setting of who runs the tests."""
    for name in [name for name in os.environ if name.startswith("DRLS_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("DRLS_HOME", str(home))
    # Settings are read once per home and process; a test may change its environment.
    settings._load.cache_clear()
    return home
