"""Operations on a table in a process of its own, which gets SIGKILL at its n-th step.

A step is whatever outlives the process: a note, a settled note, a file begun or removed, a metadata file written, a
commit of the catalog. The process is forked from one that has imported everything and done nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.altering.port import IcebergEvolution
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.changes import change_feed
from drls_dagster.maintenance import compact, expire, manifests, orphans, vacuum
from drls_dagster.settings import load_settings
from lifecycle.domain.evolution import AddColumn, Change, RollBack
from lifecycle.domain.operations import (
    CompactOptions,
    ExpireOptions,
    ManifestOptions,
    OrphanOptions,
    VacuumOptions,
)
from lifecycle.domain.tables import TableAt
from tests.table_operations import FileJournal, work_on

NAME = "n.t"
LAST = ExpireOptions(retain_last=1)
ORPHANS = OrphanOptions(dry_run=False, older_than=timedelta(days=3))
SORT = CompactOptions(strategy="sort", columns=("x",))


def add_a_column() -> None:
    if "new" not in load_catalog().load_table(NAME).schema().column_names:
        _change(AddColumn(column="new", type="string"))


def roll_back() -> None:
    """To the table's first snapshot."""
    first = min(load_catalog().load_table(NAME).metadata.snapshots, key=lambda one: one.sequence_number or 0)
    _change(RollBack(ref="main", to=str(first.snapshot_id)))


def follow(batch_bytes: int = 1) -> None:
    """A reader of changes, which keeps what it read and how far it is in one transaction."""
    settings = load_settings()
    table = load_catalog().load_table(NAME)
    with closing(sqlite3.connect(settings.home / "reader.db", isolation_level=None)) as kept:
        kept.execute("CREATE TABLE IF NOT EXISTS changes (what TEXT, x INTEGER, at INTEGER)")
        kept.execute("CREATE TABLE IF NOT EXISTS position (at INTEGER)")
        for snapshot in reversed(list(refs.ancestors(table, refs.head(table, "main")))):
            (since,) = kept.execute("SELECT max(at) FROM position").fetchone()
            if since is not None and snapshot.sequence_number <= since:
                continue
            start = next((one.snapshot_id for one in table.metadata.snapshots if one.sequence_number == since), None)
            kept.execute("BEGIN")
            for batch in change_feed(table, start, snapshot.snapshot_id, batch_bytes=batch_bytes).batches():
                rows = [(one["_change_type"], one["x"], one["_snapshot_id"]) for one in batch.to_pylist()]
                kept.executemany("INSERT INTO changes VALUES (?, ?, ?)", rows)
                taken()
            kept.execute("INSERT INTO position VALUES (?)", (snapshot.sequence_number,))
            kept.execute("COMMIT")
            taken()


def followed() -> list[tuple[str, int, int]]:
    """What the reader has kept."""
    with closing(sqlite3.connect(load_settings().home / "reader.db")) as kept:
        return sorted(kept.execute("SELECT what, x, at FROM changes").fetchall())


def taken() -> None:
    """A step of the reader."""


def _change(change: Change) -> None:
    port, at = IcebergEvolution(load_settings()), TableAt(name=NAME)
    port.apply(at, change, port.plan(at, change))


OPERATIONS: dict[str, Callable[[], object]] = {
    "compact": lambda: compact.execute(work_on(NAME), CompactOptions()),
    "compact and sort": lambda: compact.execute(work_on(NAME), SORT),
    "rewrite manifests": lambda: manifests.execute(work_on(NAME), ManifestOptions()),
    "expire": lambda: expire.execute(work_on(NAME), LAST),
    "orphans": lambda: orphans.execute(work_on(NAME), ORPHANS),
    "vacuum": lambda: vacuum.execute(work_on(NAME), VacuumOptions(expire=LAST, orphans=ORPHANS)),
    "add a column": add_a_column,
    "roll back": roll_back,
}
READER = "follow the changes"


def killed_at(step: int, home: str, operation: str, *, commits_only: bool = False) -> bool:
    """Whether it was killed; False where it was done before it came to this step."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.killing"])
    process = context.Process(target=_perform, args=(step, home, operation, commits_only))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL), f"{operation} ended with {process.exitcode} at step {step}"
    # What it was writing is left alone for a minute: somebody else could be.
    for cut_off in Path(home).rglob("*.metadata.json"):
        os.utime(cut_off, (time.time() - 120, time.time() - 120))
    return process.exitcode != 0


def _perform(step: int, home: str, operation: str, commits_only: bool) -> None:
    os.environ["DRLS_HOME"] = home
    left = step

    def counted(owner: Any, name: str, *, static: bool = False) -> None:
        whole = getattr(owner, name)

        def act(*given: Any, **more: Any) -> Any:
            nonlocal left
            answer = whole(*given, **more)
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        setattr(owner, name, staticmethod(act) if static else act)

    counted(SqlCatalog, "commit_table")
    counted(SqlCatalog, "_write_metadata", static=True)
    counted(sys.modules[__name__], "taken")
    if not commits_only:
        counted(FileJournal, "note")
        counted(FileJournal, "settle")
        counted(PyArrowFile, "create")
        counted(PyArrowFileIO, "delete")
        counted(os, "unlink")
    (follow if operation == READER else OPERATIONS[operation])()
