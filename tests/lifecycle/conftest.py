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


@pytest.fixture(scope="session")
def sqlite_people(sqlite_template: Path, signing_key: SigningKey) -> Path:
    """A store with the people of `life`: adding them takes longer than many a test."""
    file = sqlite_template.with_name("people.db")
    shutil.copy(sqlite_template, file)
    _add_people(f"sqlite:///{file}", signing_key, file.parent)
    return file


@pytest.fixture(scope="session")
def postgres_people(
    postgres: PostgresServer, postgres_template: str, signing_key: SigningKey, tmp_path_factory: pytest.TempPathFactory
) -> str:
    url = postgres.fresh_database(postgres_template)
    _add_people(url, signing_key, tmp_path_factory.mktemp("people"))
    return url.rsplit("/", 1)[1]


def _add_people(url: str, signing_key: SigningKey, folder: Path) -> None:
    store = Store.open(url, signing_key, FakeClock())
    Life(store, folder, FakeClock())
    store.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def empty_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh, empty database."""
    if database == "sqlite":
        yield f"sqlite:///{tmp_path / 'lifecycle.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.own_database() as url:
        yield url


@pytest.fixture
def store_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database with a store: an empty one, or that of `life` for a test that asks for it."""
    kind = "people" if "life" in request.fixturenames else "template"
    if database == "sqlite":
        shutil.copy(request.getfixturevalue(f"sqlite_{kind}"), tmp_path / "lifecycle.db")
        yield f"sqlite:///{tmp_path / 'lifecycle.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    with server.own_database(request.getfixturevalue(f"postgres_{kind}")) as url:
        yield url


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
