"""Copies of SQLite databases that others write to meanwhile, all of one moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from drls_dagster.errors import DrlsError
from lifecycle.private_files import new_private

PATIENCE = 30.0


@contextmanager
def pinned(files: dict[str, Path], first: str | None) -> Generator[dict[str, sqlite3.Connection]]:
    """By name a connection to each file, all of which see the moment at which nobody wrote to `first`.

    A run that publishes asks `first` before and after: so the others are not ahead of it, but for what it allowed.
    """
    with ExitStack() as stack:
        opened = {name: stack.enter_context(closing(_open(file))) for name, file in files.items()}
        writer = stack.enter_context(closing(_open(files[first]))) if first in files else None
        if writer is not None:
            writer.execute("BEGIN IMMEDIATE")
        for connection in opened.values():
            connection.execute("BEGIN")
            # The first look fixes the picture.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if writer is not None:
            writer.execute("ROLLBACK")
        yield opened


def copy(connection: sqlite3.Connection, to: Path) -> None:
    """What the connection sees, as one file, whole and for its owner alone. Raises DrlsError for a damaged one."""
    with new_private(to) as fresh, closing(sqlite3.connect(fresh, isolation_level=None)) as made:
        connection.backup(made)
        # One file: with the log that a database has while it is open, it would be three.
        made.execute("PRAGMA journal_mode = DELETE").fetchone()
        found = made.execute("PRAGMA quick_check").fetchall()
        if found != [("ok",)]:
            raise DrlsError(f"{to.name} is damaged, so no backup was made; restore an earlier one: {found[0][0]}")


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(file))}?mode=rw", uri=True, timeout=PATIENCE, isolation_level=None)
