"""The schema's version: migrating an older database, refusing a newer one, and backups."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from enum import StrEnum
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, make_url, text

from lifecycle.errors import StoreError
from lifecycle.private_files import new_private
from lifecycle.store.engine import is_sqlite

_MIGRATIONS = Path(__file__).parent / "migrations"
# Any number does, as long as every DRLS takes the same one.
_MIGRATION_LOCK = 7_236_151


class SchemaState(StrEnum):
    """How a database stands to this DRLS."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


def schema_state(engine: Engine) -> SchemaState:
    """Compares the database's revision with the migrations that this DRLS brings."""
    with engine.connect() as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    head, known = _revisions()
    if revision is None:
        return SchemaState.EMPTY
    if revision == head:
        return SchemaState.CURRENT
    return SchemaState.OLDER if revision in known else SchemaState.NEWER


@cache
def _revisions() -> tuple[str | None, frozenset[str]]:
    """The newest migration and all of them; they do not change while this process runs."""
    script = ScriptDirectory(str(_MIGRATIONS))
    return script.get_current_head(), frozenset(migration.revision for migration in script.walk_revisions())


def check_schema(engine: Engine) -> None:
    """Raises StoreError unless the database is exactly what this DRLS expects."""
    where = describe(engine)
    match schema_state(engine):
        case SchemaState.EMPTY:
            raise StoreError(f"{where} holds no lifecycle store yet; run: drls db upgrade")
        case SchemaState.OLDER:
            raise StoreError(f"{where} is of an older DRLS; back it up and run: drls db upgrade")
        case SchemaState.NEWER:
            raise StoreError(f"{where} was written by a newer DRLS; install that version, this one would harm it")
        case SchemaState.CURRENT:
            return


def upgrade(engine: Engine, around: Callable[[Connection], Callable[[str], None]] | None = None) -> None:
    """Brings the database to this DRLS's schema, all or nothing; a newer one is refused.

    Several processes may call it at once: one migrates, the others wait. `around` is called with the connection
    before a store of an older DRLS is migrated, and what it gives afterwards, with the new revision.
    """
    if schema_state(engine) is SchemaState.NEWER:
        check_schema(engine)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.connect().execution_options(drls_writes=True) as connection, connection.begin():
        if not is_sqlite(engine):
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
        config.attributes["connection"] = connection
        head, _ = _revisions()
        before = MigrationContext.configure(connection).get_current_revision()
        finish = around(connection) if around and before not in (None, head) else None
        command.upgrade(config, "head")
        if finish:
            finish(head or "")


def backup(engine: Engine, file: Path) -> None:
    """Writes a consistent copy, for its owner alone, while others keep writing; refuses to overwrite a file.

    SQLite: a database file. PostgreSQL: pg_dump's custom format, for pg_restore.
    """
    try:
        with new_private(file) as fresh:
            _copy(engine, fresh)
    except FileExistsError:
        raise StoreError(f"{file} is there already; name another file for the backup") from None
    except OSError as error:
        raise StoreError(f"cannot write the backup to {file}: {error.strerror}; name another file") from None


def _copy(engine: Engine, file: Path) -> None:
    if is_sqlite(engine):
        source = make_url(str(engine.url)).database or ""
        with closing(sqlite3.connect(source)) as connection, closing(sqlite3.connect(file)) as copy:
            connection.backup(copy)
        return
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(
        ["pg_dump", "--format=custom", f"--file={file}", f"--dbname={url}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StoreError(f"pg_dump could not write {file}: {done.stderr.strip().splitlines()[-1:]}")


def describe(engine: Engine) -> str:
    """The database in words, without a password."""
    return engine.url.render_as_string(hide_password=True)
