"""The ledger on both databases, and as a home on another machine sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drls_dagster.ledger import Ledger, open_ledger
from drls_dagster.ledger.database import ledger_url
from drls_dagster.ledger.ledger import _prepared
from drls_dagster.ledger.place import Place
from drls_dagster.settings import LedgerSettings, Settings, load_settings
from tests.postgres_server import PostgresServer, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, drls_home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home whose ledger is not made yet; processes that a test starts have the same one."""
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        monkeypatch.setenv("DRLS_LIFECYCLE__URL", server.fresh_database())
    return load_settings(drls_home)


@pytest.fixture
def ledger(settings: Settings) -> Ledger:
    return open_ledger(settings)


@pytest.fixture
def elsewhere(settings: Settings) -> Iterator[Callable[..., Ledger]]:
    """Ledgers on the same database, each with a place of its own: what it says of pids means nothing here."""
    opened: list[Ledger] = []

    def open_there(heartbeat: float = 0.05, dead: float = 0.5) -> Ledger:
        place = Place(f"home-{len(opened)}", "boot", "pids", "far")
        times = LedgerSettings(heartbeat_seconds=heartbeat, dead_seconds=dead)
        opened.append(Ledger(_prepared(ledger_url(settings)), place, times))
        return opened[-1]

    yield open_there
    for one in opened:
        one.close()
