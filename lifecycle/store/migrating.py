"""A set of migrations and the tables they make: how a database compares to them, and bringing it up to date."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import ProgrammingError

from lifecycle.errors import StoreError
from lifecycle.store.engine import is_sqlite

_NO_RIGHT = "42501"


class SchemaState(StrEnum):
    """How a database's schema compares to this DRLS."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


@dataclass(frozen=True)
class Migrations:
    """Migrations of one folder, which keep their revision in a version table of their own.

    `lock` is PostgreSQL's advisory lock while they run: every DRLS takes the same number. `namespace` is the schema
    that holds the tables on PostgreSQL, None for the connection's own; SQLite has no schemas.
    """

    folder: Path
    lock: int
    version_table: str = "alembic_version"
    namespace: str | None = None

    def state(self, engine: Engine) -> SchemaState:
        """Compares the database's revision with the migrations that this DRLS brings."""
        with engine.connect() as connection, self._rights(connection):
            revision = self.revision(connection)
        head, known = _revisions(self.folder)
        if revision is None:
            return SchemaState.EMPTY
        if revision == head:
            return SchemaState.CURRENT
        return SchemaState.OLDER if revision in known else SchemaState.NEWER

    def revision(self, connection: Connection) -> str | None:
        """The newest migration that the database has seen."""
        return MigrationContext.configure(connection, opts=self._options(connection)).get_current_revision()

    def upgrade(self, engine: Engine, around: Callable[[Connection], Callable[[str], None]] | None = None) -> None:
        """Brings the database up to date, all or nothing. Refuse a newer one first.

        Several processes may call it at once: one migrates, the others wait. `around` is called with the connection
        before an older database is migrated, and what it returns is called after that, with the new revision.
        """
        config = Config()
        config.set_main_option("script_location", str(self.folder))
        with (
            engine.connect().execution_options(drls_writes=True) as connection,
            connection.begin(),
            self._rights(connection),
        ):
            if not is_sqlite(engine):
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": self.lock})
                self._enter_namespace(connection)
            config.attributes["connection"] = connection
            config.attributes["options"] = self._options(connection)
            head, _ = _revisions(self.folder)
            before = self.revision(connection)
            finish = around(connection) if around and before not in (None, head) else None
            command.upgrade(config, "head")
            if finish:
                finish(head or "")

    def _options(self, connection: Connection) -> dict[str, str | None]:
        schema = None if connection.dialect.name == "sqlite" else self.namespace
        return {"version_table": self.version_table, "version_table_schema": schema}

    def _enter_namespace(self, connection: Connection) -> None:
        """Makes the schema where it is missing; until the transaction ends, tables are made there."""
        if self.namespace is None:
            return
        if self.namespace not in inspect(connection).get_schema_names():
            connection.execute(text(f'CREATE SCHEMA "{self.namespace}"'))
        connection.execute(text(f'SET LOCAL search_path TO "{self.namespace}"'))

    @contextmanager
    def _rights(self, connection: Connection) -> Generator[None]:
        """Raises StoreError naming the statement that the database's owner must run."""
        try:
            yield
        except ProgrammingError as error:
            if self.namespace is None or getattr(error.orig, "pgcode", None) != _NO_RIGHT:
                raise
            url = connection.engine.url
            raise StoreError(
                f"{url.username} may not create or use schema {self.namespace} in database {url.database}; "
                f"as the database's owner, run: CREATE SCHEMA {self.namespace} AUTHORIZATION {url.username}"
            ) from None


@cache
def _revisions(folder: Path) -> tuple[str | None, frozenset[str]]:
    """The newest migration and all of them; they do not change while this process runs."""
    script = ScriptDirectory(str(folder))
    return script.get_current_head(), frozenset(migration.revision for migration in script.walk_revisions())
