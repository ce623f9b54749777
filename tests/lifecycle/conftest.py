"""Stores on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.audit.keys import SigningKey
from lifecycle.store.store import Store
from tests.fakes.clock import FakeClock
from tests.lifecycle.life import Life
from tests.postgres_server import PostgresServer, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, empty database on SQLite, then on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'lifecycle.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.fresh_database()


@pytest.fixture(scope="session")
def signing_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(store_url: str, signing_key: SigningKey, clock: FakeClock) -> Iterator[Store]:
    made = Store.create(store_url, signing_key, clock)
    yield made
    made.close()


@pytest.fixture
def life(store: Store, tmp_path: Path, clock: FakeClock) -> Life:
    return Life(store, tmp_path, clock)
