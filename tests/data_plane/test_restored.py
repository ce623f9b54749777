"""A rehearsal: everything is lost but the tables' files, and comes back from a backup, on both databases."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from drls_dagster.backups.making import make_backup
from drls_dagster.backups.restoring import Restored, restore
from drls_dagster.ledger import close_ledgers
from drls_dagster.ledger.ledger import open_ledger
from drls_dagster.lifecycle_client.opening import signing_key_file, store_url
from drls_dagster.settings import Settings, reload_settings
from lifecycle.audit import load_signing_key
from lifecycle.domain.version import Version
from lifecycle.store.store import Store
from lifecycle.usecases.context import Context
from lifecycle.usecases.reconcile import find_drift
from tests.fakes.clock import FakeClock
from tests.fakes.lake import LakePlane
from tests.fakes.orchestrator import FakeOrchestrator
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import DAGSTER, PRODUCTION, SETUP, Life
from tests.postgres_server import PostgresServer

Databases = Callable[[], None]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def fresh_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Databases:
    """The settings name a new, empty database from then on."""

    def name_one() -> None:
        if request.param == "postgresql":
            server: PostgresServer = request.getfixturevalue("postgres")
            monkeypatch.setenv("DRLS_LIFECYCLE__URL", server.fresh_database())

    name_one()
    return name_one


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the catalog and the tables are, on another disk than DRLS_HOME."""
    monkeypatch.setenv("DRLS_CATALOG__URI", f"sqlite:///{tmp_path / 'lake' / 'catalog.db'}")
    monkeypatch.setenv("DRLS_CATALOG__WAREHOUSE", str(tmp_path / "lake" / "warehouse"))
    (tmp_path / "lake").mkdir()
    return tmp_path / "lake"


@pytest.fixture
def life(drls_home: Path, fresh_database: Databases, request: pytest.FixtureRequest) -> Iterator[Life]:
    if "outside" in request.fixturenames:
        request.getfixturevalue("outside")
    drls_home.mkdir(mode=0o700)
    settings = reload_settings(drls_home)
    clock = FakeClock()
    store = Store.create(store_url(settings), load_signing_key(signing_key_file(settings)), clock)
    plane = LakePlane(settings)
    plane.catalog.create_namespace_if_not_exists("lab")
    yield Life(store, drls_home, clock, plane=cast(FakePlane, plane))
    store.close()


def in_production(life: Life) -> Version:
    version = life.save()
    life.to_production(version)
    return version


def settings_of(life: Life) -> Settings:
    return cast(LakePlane, life.plane).settings


def context_of(restored: Restored, life: Life) -> Context:
    """The restored store, with the catalog that its settings name."""
    settings = restored.settings
    store = Store.open(store_url(settings), load_signing_key(signing_key_file(settings)), life.clock)
    return Context(store, LakePlane(settings), FakeOrchestrator(), life.clock, "restored")


def lose_everything_but(home: Path, *kept: str) -> None:
    for one in home.iterdir():
        if one.name not in kept:
            shutil.rmtree(one) if one.is_dir() else one.unlink()


def test_on_an_empty_machine_everything_is_as_it_was(
    life: Life, drls_home: Path, tmp_path: Path, fresh_database: Databases
) -> None:
    in_production(life)
    settings = settings_of(life)
    open_ledger(settings).pin("run-1", "", "raw", lambda: {"snapshot": 7})
    head = life.plane.head("flights.daily", "main")
    made = make_backup(settings, tmp_path / "backup")
    life.store.close()
    close_ledgers()
    lose_everything_but(drls_home, "warehouse")
    fresh_database()
    done = restore(tmp_path / "backup", drls_home)
    assert done.verdict.entries == made.audit.sequence
    assert done.verdict.rows > 30
    ctx = context_of(done, life)
    with ctx.store.read() as view:
        assert view.deployments.of(PRODUCTION)[0].label == "approved"
        newest = next(view.log.entries(made.audit.sequence))
        assert (newest.verb, newest.body["sequence"]) == ("installation.restored", made.audit.sequence)
    assert ctx.plane.table("flights.daily", PRODUCTION).head == head
    assert open_ledger(done.settings).pin("run-1", "", "raw", lambda: {"snapshot": 8}) == {"snapshot": 7}
    found = find_drift(ctx, SETUP)
    assert (found.drifts, found.troubles) == ((), ())
    ctx.store.close()


def test_l15_what_the_catalog_has_that_the_backup_does_not_know_is_drift(
    life: Life, outside: Path, drls_home: Path, tmp_path: Path, fresh_database: Databases
) -> None:
    version = in_production(life)
    make_backup(settings_of(life), tmp_path / "backup")
    life.clock.advance(hours=1)
    life.run(version, PRODUCTION)
    newer = {table: life.plane.head(table, "main") for table in ("flights.daily", "flights.late")}
    life.store.close()
    close_ledgers()
    shutil.rmtree(drls_home)
    fresh_database()
    catalog = (outside / "catalog.db").read_bytes()
    done = restore(tmp_path / "backup", drls_home)
    assert done.kept_catalog == outside / "catalog.db"
    ctx = context_of(done, life)
    found = find_drift(ctx, SETUP)
    assert {one.table_name: one.found for one in found.drifts} == newer
    assert {one.environment for one in found.drifts} == {PRODUCTION}
    # It looked, and changed nothing.
    assert (outside / "catalog.db").read_bytes() == catalog
    ctx.store.close()


def test_a_run_that_published_while_the_backup_was_made_is_no_drift(
    life: Life, outside: Path, drls_home: Path, tmp_path: Path, fresh_database: Databases
) -> None:
    """Its permit is in the backup, and the table's history says that it was used."""
    from lifecycle.usecases.grant_permit import grant_permit

    version = in_production(life)
    run_id = life.begin(version, PRODUCTION)
    asked = life.publishing(run_id, "flights.daily", PRODUCTION)
    assert grant_permit(life.ctx, DAGSTER, asked).permit is not None
    make_backup(settings_of(life), tmp_path / "backup")
    assert life.plane.publish(asked.table, asked.ref, asked.base, asked.candidate)
    life.store.close()
    close_ledgers()
    shutil.rmtree(drls_home)
    fresh_database()
    done = restore(tmp_path / "backup", drls_home)
    life.clock.advance(days=1)
    ctx = context_of(done, life)
    assert find_drift(ctx, SETUP).drifts == ()
    ctx.store.close()
