"""A small world of the lifecycle, and an instance of Dagster, for sensors to look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from lifecycle.audit.keys import SigningKey
from lifecycle.store.store import Store
from tests.fakes.clock import FakeClock
from tests.lifecycle.life import Life


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    clock = FakeClock()
    store = Store.create(f"sqlite:///{tmp_path / 'lifecycle.db'}", SigningKey.generate(), clock)
    yield Life(store, tmp_path, clock)
    store.close()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made
