"""Stores on both databases; each test copies one that was migrated once."""

from __future__ import annotations

import shutil
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


@pytest.fixture(scope="session")
def signing_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey) -> Path:
    file = tmp_path_factory.mktemp("template") / "lifecycle.db"
    Store.create(f"sqlite:///{file}", signing_key, FakeClock()).close()
    return file


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer, signing_key: SigningKey) -> str:
    url = postgres.fresh_database()
    Store.create(url, signing_key, FakeClock()).close()
    return url.rsplit("/", 1)[1]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def empty_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, empty database."""
    if database == "sqlite":
        return f"sqlite:///{tmp_path / 'lifecycle.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.fresh_database()


@pytest.fixture
def store_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database with an empty store."""
    if database == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "lifecycle.db")
        return f"sqlite:///{tmp_path / 'lifecycle.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.fresh_database(request.getfixturevalue("postgres_template"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(store_url: str, signing_key: SigningKey, clock: FakeClock) -> Iterator[Store]:
    opened = Store.open(store_url, signing_key, clock)
    yield opened
    opened.close()


@pytest.fixture
def life(store: Store, tmp_path: Path, clock: FakeClock) -> Life:
    return Life(store, tmp_path, clock)
