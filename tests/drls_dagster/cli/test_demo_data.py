"""The demo's data, the first thing that is written into a new DRLS_HOME."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from drls_dagster.cli.demo_data import FILES, lay_out
from drls_dagster.private_home import private_home
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment


def test_the_data_is_laid_into_a_home_that_is_private_from_the_start(
    drls_home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = lay_out(Path(load_settings().landing_for(Environment.DEVELOPMENT)))
    assert sorted(file.name for file in folder.iterdir()) == sorted(FILES)
    assert drls_home.stat().st_mode & 0o077 == 0
    with caplog.at_level(logging.WARNING):
        private_home(drls_home)
    assert caplog.records == []
