"""The ledger's database: schema `drls_runs` of the lifecycle's PostgreSQL database, or DRLS_HOME/runs.db."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from drls_dagster.settings import Settings
from lifecycle.errors import StoreError
from lifecycle.store.companion import Companion, postgresql_of
from lifecycle.store.down import outages_of
from lifecycle.store.migrating import Migrations, SchemaState
from lifecycle.store.schema import describe

NAMESPACE = "drls_runs"
MIGRATIONS = Migrations(
    Path(__file__).parent / "migrations", lock=7_236_152, version_table="ledger_version", namespace=NAMESPACE
)
# Seconds since the epoch; SQLite's clock is this machine's, as its file is.
_POSTGRES_NOW = sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Float)
_SQLITE_NOW = sa.literal_column("(julianday('now') - 2440587.5) * 86400.0", sa.Float)


def ledger_url(settings: Settings) -> str:
    """Where the ledger of a home is. `DRLS_URL` changes nothing about it: runs go to the database, not to a server."""
    return postgresql_of(settings.lifecycle.url) or f"sqlite:///{settings.home / 'runs.db'}"


class Database(Companion):
    """The ledger's."""

    def __init__(self, url: str) -> None:
        super().__init__(url, MIGRATIONS)

    def __str__(self) -> str:
        """In words, without a password."""
        return describe(self._engine) if self._is_sqlite else f"schema {NAMESPACE} of {describe(self._engine)}"

    @property
    def is_missing(self) -> bool:
        """Whether there is no runs.db yet; asking SQLite would make it."""
        return self._is_sqlite and not Path(self._engine.url.database or "").exists()

    def state(self) -> SchemaState:
        """How the database's schema compares to this DRLS."""
        with outages_of(self._engine):
            found = MIGRATIONS.state(self._engine)
            # DRLS 0.1.0 had no migrations.
            of_0_1_0 = found is SchemaState.EMPTY and self._is_sqlite and sa.inspect(self._engine).has_table("pins")
            return SchemaState.OLDER if of_0_1_0 else found

    def check(self) -> SchemaState:
        """Raises StoreError where this DRLS must not use or change it; otherwise `upgrade` may."""
        found = self.state()
        if found is SchemaState.NEWER:
            raise StoreError(f"{self} was written by a newer DRLS; install that version, this one would harm it")
        if found is SchemaState.OLDER and not self._is_sqlite:
            # Other machines may still run the older DRLS.
            raise StoreError(f"{self} is of an older DRLS; back it up and run: drls db upgrade")
        return found

    def upgrade(self) -> None:
        """Brings it to this DRLS's schema; safe to repeat, and for several at once."""
        with outages_of(self._engine):
            MIGRATIONS.upgrade(self._engine)

    @property
    def now(self) -> sa.ColumnElement[Any]:
        """The database's clock, in seconds: the same for all machines."""
        return _SQLITE_NOW if self._is_sqlite else _POSTGRES_NOW

    def insert_new(self, table: sa.Table, row: dict[str, Any]) -> sa.Executable:
        """Inserts unless a row of that primary key is there: then that one stays."""
        return self._insert(table).values(row).on_conflict_do_nothing()

    def upsert(self, table: sa.Table, row: dict[str, Any]) -> sa.Executable:
        """Inserts, or replaces the row of that primary key."""
        keys = [column.name for column in table.primary_key.columns]
        return (
            self._insert(table)
            .values(row)
            .on_conflict_do_update(
                index_elements=keys, set_={name: value for name, value in row.items() if name not in keys}
            )
        )

    def _insert(self, table: sa.Table) -> Any:
        return sqlite.insert(table) if self._is_sqlite else postgresql.insert(table)


class Topic:
    """A part of the ledger: some of its tables, on the database that all parts share."""

    def __init__(self, database: Database) -> None:
        self._database = database
