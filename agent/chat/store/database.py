"""The database of chats: schema `drls_agent` of the lifecycle's PostgreSQL database, or DRLS_HOME/agent/chats.db."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from drls_dagster.settings import Settings, private_home
from lifecycle.errors import StoreError
from lifecycle.store.down import outages_of
from lifecycle.store.engine import is_sqlite, open_engine
from lifecycle.store.migrating import Migrations, SchemaState
from lifecycle.store.schema import describe

NAMESPACE = "drls_agent"
MIGRATIONS = Migrations(
    Path(__file__).parent / "migrations", lock=7_236_153, version_table="chats_version", namespace=NAMESPACE
)


def chats_url(settings: Settings) -> str:
    """Where the chats of a home are."""
    given = settings.lifecycle.url
    if given and sa.make_url(given).get_backend_name() == "postgresql":
        return given
    return f"sqlite:///{private_home(settings.home, 'agent') / 'chats.db'}"


class Database:
    """One pool of connections, on a database of this DRLS's schema."""

    def __init__(self, settings: Settings) -> None:
        """Makes or migrates it. Raises StoreError for one that a newer DRLS wrote, or that does not answer."""
        engine = open_engine(chats_url(settings))
        self._engine = engine
        self._named = engine if is_sqlite(engine) else engine.execution_options(schema_translate_map={None: NAMESPACE})
        with outages_of(engine):
            found = MIGRATIONS.state(engine)
            if found is SchemaState.NEWER:
                raise StoreError(f"the chats in {describe(engine)} were written by a newer DRLS; install that version")
            if found is not SchemaState.CURRENT:
                MIGRATIONS.upgrade(engine)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with outages_of(self._engine), self._named.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction; on SQLite the file is locked from its start."""
        with (
            outages_of(self._engine),
            self._named.connect().execution_options(drls_writes=True) as connection,
            connection.begin(),
        ):
            yield connection
