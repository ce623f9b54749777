"""A data plane over SQLite and files, and the lifecycle's small world on top of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from drls_dagster.settings import load_settings
from lifecycle.audit.keys import SigningKey
from lifecycle.store.store import Store
from tests.fakes.clock import FakeClock
from tests.fakes.lake import LakePlane
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import Life
from tests.postgres_server import PostgresServer, running_postgres

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.tables)


@pytest.fixture
def lake(drls_home: Path) -> LakePlane:
    """A data plane with an empty namespace `lab`."""
    plane = LakePlane(load_settings(drls_home))
    plane.catalog.create_namespace_if_not_exists("lab")
    return plane


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def signing_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="session")
def lifecycle_template(tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey) -> Path:
    file = tmp_path_factory.mktemp("template") / "lifecycle.db"
    Store.create(f"sqlite:///{file}", signing_key, FakeClock()).close()
    return file


@pytest.fixture
def life(lake: LakePlane, lifecycle_template: Path, signing_key: SigningKey, tmp_path: Path) -> Iterator[Life]:
    """The lifecycle with real tables."""
    shutil.copy(lifecycle_template, tmp_path / "lifecycle.db")
    clock = FakeClock()
    store = Store.open(f"sqlite:///{tmp_path / 'lifecycle.db'}", signing_key, clock)
    yield Life(store, tmp_path, clock, plane=cast(FakePlane, lake))
    store.close()
