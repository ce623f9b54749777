"""Databases that are migrated once for all tests of a run.

Nearly every test makes a store, a ledger, or both in a home of its own. Alembic takes a tenth of a second to bring an empty
database up to date, and always to the same tables: the first one is migrated, later ones get a copy of its statements.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, inspect

from lifecycle.store.engine import is_sqlite
from lifecycle.store.migrating import Migrations

Around = Callable[[Connection], Callable[[str], None]]


@contextmanager
def migrated_once() -> Iterator[None]:
    """Let an empty SQLite database copy the tables of the first one; any other database is migrated as always."""
    migrate = Migrations.upgrade
    known: dict[tuple[Path, str], tuple[str, ...]] = {}

    def upgrade(migrations: Migrations, engine: Engine, around: Around | None = None) -> None:
        key = (migrations.folder, migrations.version_table)
        if not is_sqlite(engine):
            migrate(migrations, engine, around)
        elif key not in known:
            empty = _is_empty(engine)
            migrate(migrations, engine, around)
            if empty:
                known[key] = _statements(engine)
        elif not _copy(engine, known[key]):
            migrate(migrations, engine, around)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Migrations, "upgrade", upgrade)
        yield


def _is_empty(engine: Engine) -> bool:
    with engine.connect() as connection:
        return not inspect(connection).get_table_names()


def _statements(engine: Engine) -> tuple[str, ...]:
    """What makes the tables of a database and the rows that migrating has left in them."""
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return tuple(one for one in driver.iterdump() if one not in ("BEGIN TRANSACTION;", "COMMIT;"))


def _copy(engine: Engine, statements: tuple[str, ...]) -> bool:
    """Whether the database was empty and is now a copy."""
    with engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
        if inspect(connection).get_table_names():
            return False
        for statement in statements:
            connection.exec_driver_sql(statement)
        return True
