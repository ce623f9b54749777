"""Opening a database so that both kinds behave alike.

SQLite: WAL, foreign keys on, a busy timeout, and BEGIN IMMEDIATE for every write transaction:
with the driver's own deferred begin, 538 of 800 acknowledged updates of four processes were lost.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import QueuePool

from lifecycle.errors import StoreError
from lifecycle.private_files import private_database

BUSY_SECONDS = 30
# What was acknowledged is there after a power failure.
SYNCHRONOUS = "FULL"


def open_engine(url: str) -> Engine:
    """An engine for `sqlite:///file` or `postgresql+psycopg2://…`; nothing is connected yet."""
    if make_url(url).get_backend_name() == "sqlite":
        return _open_sqlite(url)
    return create_engine(url, pool_size=10, max_overflow=10, pool_pre_ping=True)


def is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def _open_sqlite(url: str) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=10,
        max_overflow=10,
        # The driver begins nothing itself; the "begin" event below does.
        connect_args={"timeout": BUSY_SECONDS, "isolation_level": None, "check_same_thread": False},
    )

    file = make_url(url).database
    if file and file != ":memory:" and not file.startswith("file:"):
        keep_to_file(engine, Path(file))

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        # SQLite does not wait for this one: of several who open a new file at once, all but one get "locked".
        if not _done_when_free(connection, "PRAGMA journal_mode = WAL"):
            connection.execute("PRAGMA journal_mode = WAL")
        for pragma in (
            f"busy_timeout = {BUSY_SECONDS * 1000}",
            f"synchronous = {SYNCHRONOUS}",
            "foreign_keys = ON",
            "recursive_triggers = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        writes = connection.get_execution_options().get("drls_writes", False)
        if writes:
            _wait_for_lock(connection)
        else:
            connection.exec_driver_sql("BEGIN")

    return engine


def keep_to_file(engine: Engine, file: Path) -> None:
    """Before each connect the database is made private, and after it, it is this very file that was opened.

    Such a connect raises StoreError where a link is in its place, put there at whatever moment.
    """

    @event.listens_for(engine, "do_connect")
    def before_connect(*_: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        if file.parent.is_dir():
            private_database(file)

    @event.listens_for(engine, "connect")
    def after_connect(connection: Any, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        try:
            require_opened(connection, file)
        except StoreError:
            connection.close()
            raise


def require_opened(connection: Any, file: Path) -> None:
    """Raises StoreError where a link has led SQLite to another file."""
    # SQLite says where it was led, with links resolved.
    opened = connection.execute("PRAGMA database_list").fetchone()[2]
    if opened != os.path.join(os.path.realpath(file.parent), file.name):
        raise StoreError(f"{file} leads to {opened}; look who put a link there, and remove it")


def _wait_for_lock(connection: Connection) -> None:
    """Begins to write as soon as nobody else does: SQLite itself looks again after up to 100 ms, this after one."""
    driver: Any = connection.connection.dbapi_connection
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        if not _done_when_free(driver, "BEGIN IMMEDIATE"):
            # What it raises is SQLAlchemy's, like everything else that a caller sees.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _done_when_free(driver: Any, statement: str) -> bool:
    """Executes it again and again while others hold the file; whether it went through."""
    deadline = time.monotonic() + BUSY_SECONDS
    while time.monotonic() < deadline:
        try:
            driver.execute(statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                return False
            time.sleep(0.001)
        else:
            return True
    return False
