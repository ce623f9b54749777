"""The schema's version: migrating an older database, refusing a newer one, and backups."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Engine, make_url

from lifecycle.errors import StoreError
from lifecycle.private_files import new_private
from lifecycle.store.engine import is_sqlite
from lifecycle.store.migrating import Migrations, SchemaState

__all__ = ["SchemaState", "backup", "check_schema", "describe", "schema_state", "upgrade"]

_MIGRATIONS = Migrations(Path(__file__).parent / "migrations", lock=7_236_151)


def schema_state(engine: Engine) -> SchemaState:
    """Compares the database's revision with the migrations that this DRLS brings."""
    return _MIGRATIONS.state(engine)


def check_schema(engine: Engine) -> None:
    """Raises StoreError unless the database is exactly what this DRLS expects."""
    where = describe(engine)
    match schema_state(engine):
        case SchemaState.EMPTY:
            raise StoreError(f"{where} has no lifecycle store yet; run: drls db upgrade")
        case SchemaState.OLDER:
            raise StoreError(f"{where} has the schema of an older DRLS; back it up and run: drls db upgrade")
        case SchemaState.NEWER:
            raise StoreError(
                f"{where} was written by a newer DRLS; install that version, because this one would damage it"
            )
        case SchemaState.CURRENT:
            return


def upgrade(engine: Engine, around: Callable[[Connection], Callable[[str], None]] | None = None) -> None:
    """Brings the database to this DRLS's schema, all or nothing; a newer one is refused.

    Several processes may call it at once: one migrates, the others wait. `around` is called with the connection
    before a store of an older DRLS is migrated, and what it returns is called after that, with the new revision.
    """
    if schema_state(engine) is SchemaState.NEWER:
        check_schema(engine)
    _MIGRATIONS.upgrade(engine, around)


def backup(engine: Engine, file: Path) -> None:
    """Writes a consistent copy, for its owner alone, while others keep writing; refuses to overwrite a file.

    SQLite: a database file. PostgreSQL: pg_dump's custom format, for pg_restore.
    """
    try:
        with new_private(file) as fresh:
            _copy(engine, fresh)
    except FileExistsError:
        raise StoreError(f"{file} already exists; name another file for the backup") from None
    except OSError as error:
        raise StoreError(f"cannot write the backup to {file}: {error.strerror}; name another file") from None


def _copy(engine: Engine, file: Path) -> None:
    if is_sqlite(engine):
        source = make_url(str(engine.url)).database or ""
        with closing(sqlite3.connect(source)) as connection, closing(sqlite3.connect(file)) as copy:
            connection.backup(copy)
        return
    run_program(engine, "pg_dump", "--format=custom", f"--file={file}")


def run_program(engine: Engine, program: str, *arguments: str) -> None:
    """One of PostgreSQL's own programs on this database. Raises StoreError with its last line.

    The password is in its environment: everybody can read the arguments of a process.
    """
    url = engine.url.set(drivername="postgresql")._replace(password=None).render_as_string()
    environment = {**os.environ, "PGPASSWORD": engine.url.password} if engine.url.password else os.environ
    try:
        done = subprocess.run(
            [program, *arguments, f"--dbname={url}"], capture_output=True, text=True, check=False, env=environment
        )
    except FileNotFoundError:
        raise StoreError(f"{program} is missing; install the client programs of PostgreSQL") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise StoreError(f"{program} failed on {describe(engine)}: {said[-1]}")


def describe(engine: Engine) -> str:
    """The database in words, without a password."""
    return engine.url.render_as_string(hide_password=True)
