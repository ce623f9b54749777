"""A store with people, and an app with /metrics in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from drls_dagster.metrics.door import with_metrics
from drls_dagster.metrics.installation import newest_entry
from drls_dagster.settings import Settings, load_settings
from lifecycle.audit.keys import SigningKey
from lifecycle.store.store import Store
from tests.drls_dagster.metrics.scraping import TOKEN
from tests.fakes.clock import FakeClock
from tests.lifecycle.app.sites import site_of
from tests.lifecycle.life import Life


@pytest.fixture
def life(drls_home: Path, tmp_path: Path) -> Iterator[Life]:
    drls_home.mkdir(mode=0o700)
    clock = FakeClock()
    store = Store.create(f"sqlite:///{drls_home / 'lifecycle.db'}", SigningKey.generate(), clock)
    yield Life(store, tmp_path, clock)
    store.close()


@pytest.fixture
def settings(drls_home: Path) -> Settings:
    return load_settings(drls_home)


@pytest.fixture
def app(life: Life, settings: Settings) -> ASGIApp:
    return with_metrics(site_of(life.ctx), TOKEN, settings, life.store, newest_entry(life.store), None, "/dagster")
