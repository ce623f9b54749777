"""The default catalog's SQLite file: in a folder of its own, because SQLite keeps further files next to it.

The engine may change that folder and nothing else of the home. The file used to be DRLS_HOME/catalog.db.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from functools import cache, lru_cache
from pathlib import Path

from drls_dagster.private_home import make_private

PATIENCE = 1.0  # seconds, for a process that opens the catalog in the same moment


def earlier_file(home: Path) -> Path:
    return home / "catalog.db"


def catalog_file(home: Path) -> Path:
    """Where the default catalog is."""
    # Asked for with every look at a table: paths that are put together each time cost more than the two questions.
    earlier, now = _places(home)
    return earlier if not now.exists() and earlier.is_file() else now


@lru_cache(maxsize=8)
def _places(home: Path) -> tuple[Path, Path]:
    return earlier_file(home), home / "catalog" / "catalog.db"


def take_over(home: Path) -> bool:
    """Move a catalog from where it used to be, once; False while another process has it open, so that it cannot be.

    A link stays behind, for programs that know the former path.
    """
    if catalog_file(home) != earlier_file(home):
        return True
    from filelock import FileLock, Timeout

    with suppress(Timeout), FileLock(f"{earlier_file(home)}.lock", timeout=PATIENCE):  # DRLS opens it under this lock
        if catalog_file(home) == earlier_file(home) and _is_nobodys(earlier_file(home)):
            _move(home)
    return catalog_file(home) != earlier_file(home)


@cache
def take_over_once(home: Path) -> bool:
    """The same, tried once in this process."""
    return take_over(home)


def _is_nobodys(file: Path) -> bool:
    """Whether no other connection is open. SQLite then puts its log into the file, which needs no other then."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(file, timeout=PATIENCE)) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
        return mode == "delete"
    return False


def _move(home: Path) -> None:
    earlier, now = earlier_file(home), home / "catalog" / "catalog.db"
    make_private(now.parent)
    earlier.rename(now)
    earlier.symlink_to(now.relative_to(home))
