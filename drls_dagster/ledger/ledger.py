"""The ledger as runs use it: opened once per process and database, closed when the process ends."""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from drls_dagster.ledger.branches import Branches
from drls_dagster.ledger.database import Database, ledger_url
from drls_dagster.ledger.health import Health
from drls_dagster.ledger.operations import Operations
from drls_dagster.ledger.outputs import CheckResults, Outputs
from drls_dagster.ledger.pins import Pins
from drls_dagster.ledger.place import place_of
from drls_dagster.ledger.publishes import Publishes
from drls_dagster.ledger.tables import EXECUTIONS, PINS
from drls_dagster.ledger.told import Told
from drls_dagster.private_home import private_home
from drls_dagster.settings import LedgerSettings, Settings
from lifecycle.store.migrating import SchemaState

_Key = tuple[int, Path, str, LedgerSettings]
_open: dict[_Key, Ledger] = {}
_line = threading.Lock()


class Ledger(Branches, Health, Operations, Pins, Publishes, Outputs, CheckResults, Told):
    """Safe for several threads, processes and machines at once. Get it from `open_ledger`.

    Every method raises StoreError where the database does not answer.
    """

    def pins_in_use(self) -> list[Any]:
        """What the sources of runs that are being executed are pinned to, as it was stored."""
        with self._database.read() as connection:
            run_keys = sa.select(EXECUTIONS.c.execution, EXECUTIONS.c.run_key).where(EXECUTIONS.c.dead.is_(None))
            keys = {row.execution: row.run_key for row in connection.execute(run_keys)}
            living = [
                one for one in self._executions(connection, EXECUTIONS.c.dead.is_(None)) if not one.is_dead(self._here)
            ]
            wanted = {keys[one.execution] for one in living if one.execution in keys}
            return list(connection.execute(sa.select(PINS.c.value).where(PINS.c.run_key.in_(wanted))).scalars())

    def close(self) -> None:
        """Ends the heartbeat and gives every connection back; `open_ledger` opens another one."""
        with _line:
            for key in [key for key, one in _open.items() if one is self]:
                del _open[key]
        self._heart.stop()
        self._database.close()


def open_ledger(settings: Settings) -> Ledger:
    """The ledger of a home. The first use makes its tables, and brings a runs.db of an older DRLS up to date.

    Raises StoreError where it cannot be reached or is of another DRLS; the next call tries again.
    """
    url = ledger_url(settings)
    # A forked process must not share its parent's database connections.
    key = (os.getpid(), settings.home, url, settings.ledger)
    with _line:
        if key not in _open:
            private_home(settings.home)
            _open[key] = Ledger(_prepared(url), place_of(settings), settings.ledger)
        return _open[key]


def close_ledgers() -> None:
    """Closes all that this process has opened."""
    for key, one in list(_open.items()):
        if key[0] == os.getpid():
            one.close()


def _prepared(url: str) -> Database:
    database = Database(url)
    try:
        if database.check() is not SchemaState.CURRENT:
            database.upgrade()
    except BaseException:
        database.close()
        raise
    return database


atexit.register(close_ledgers)
