"""What `drls db` and `drls doctor` do with the ledger's tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from drls_dagster.ledger.database import Database, ledger_url
from drls_dagster.settings import Settings
from lifecycle.store.migrating import SchemaState


def check_ledger(settings: Settings) -> tuple[str, SchemaState]:
    """Where the ledger is, and how its schema compares to this DRLS. Reads only.

    Raises StoreError for one that this DRLS must not use.
    """
    with _database(settings) as database:
        return (str(database), SchemaState.EMPTY if database.is_missing else database.check())


def upgrade_ledger(settings: Settings) -> tuple[str, SchemaState]:
    """Brings the ledger up to date; where it is, and how it stood before. A missing runs.db is left to the first run.

    Raises StoreError for one of a newer DRLS, and where the database's role may not make the schema.
    """
    with _database(settings) as database:
        if database.is_missing:
            return str(database), SchemaState.CURRENT
        before = database.state()
        if before is SchemaState.NEWER:
            database.check()
        database.upgrade()
        return str(database), before


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = Database(ledger_url(settings))
    try:
        yield database
    finally:
        database.close()
