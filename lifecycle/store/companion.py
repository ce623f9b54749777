"""Databases that lie next to the lifecycle's: a schema of their own in its PostgreSQL database, or a SQLite file."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import Connection, make_url

from lifecycle.store.down import outages_of
from lifecycle.store.engine import is_sqlite, open_engine
from lifecycle.store.migrating import Migrations


def postgresql_of(lifecycle_url: str | None) -> str | None:
    """The lifecycle's database where it can hold schemas besides its own; None where a file is needed."""
    if lifecycle_url and make_url(lifecycle_url).get_backend_name() == "postgresql":
        return lifecycle_url
    return None


class Companion:
    """One pool of connections to it; nothing is connected before the first use."""

    def __init__(self, url: str, migrations: Migrations) -> None:
        self._engine = open_engine(url)
        self._is_sqlite = is_sqlite(self._engine)
        names = {None: migrations.namespace}
        self._named = self._engine if self._is_sqlite else self._engine.execution_options(schema_translate_map=names)

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def read(self) -> Generator[Connection]:
        with outages_of(self._engine), self._named.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """A transaction; on SQLite the file is locked from its start (A3)."""
        with (
            outages_of(self._engine),
            self._named.connect().execution_options(drls_writes=True) as connection,
            connection.begin(),
        ):
            yield connection
