"""The tables of this test's home, read through the port."""

from __future__ import annotations

import pytest

from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.settings import load_settings
from lifecycle.domain.tables import ReadLimits


@pytest.fixture
def tables() -> IcebergTables:
    return IcebergTables(load_settings())


@pytest.fixture
def limits() -> ReadLimits:
    return ReadLimits(rows=100, bytes=1_000_000, seconds=30, text=200)
