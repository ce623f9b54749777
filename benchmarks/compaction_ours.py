"""A compaction as the platform does it, in a process of its own. A worker."""

from __future__ import annotations

import resource
import sqlite3
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.lab import serve
from drls_dagster.lakehouse import refs
from drls_dagster.maintenance.work import Keep, Note, Work

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.update import AddSnapshotUpdate


class Notes:
    """A journal in a database file: each note is on disk before the file that it names."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("create table if not exists notes (id integer primary key, kind, path)")

    def note(self, kind: str, **facts: Any) -> Note:
        done = self._database.execute("insert into notes (kind, path) values (?, ?)", (kind, str(facts)))
        return Note(done.lastrowid or 0, 1, kind, facts)

    def notes(self, kind: str) -> Sequence[Note]:
        return []

    def settle(self, notes: Sequence[Note]) -> None:
        self._database.executemany("delete from notes where id = ?", [(one.id,) for one in notes])


def committed(
    catalog: Catalog, table: Table, ref: str, base: int | None, add: AddSnapshotUpdate, snapshot_id: int
) -> Table:
    from pyiceberg.table.update import AssertTableUUID

    required = (AssertTableUUID(uuid=table.metadata.table_uuid), refs.ref_is(ref, base))
    catalog.commit_table(table, required, (add, refs.set_branch(table, ref, snapshot_id)))
    return catalog.load_table(table.name())


def main() -> None:
    from drls_dagster.lakehouse.catalog import load_catalog
    from drls_dagster.maintenance import compact
    from drls_dagster.settings import load_settings
    from lifecycle.domain.operations import CompactOptions

    settings = load_settings()
    catalog = load_catalog(settings)
    notes = Notes(settings.home / "bench-notes.db")

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        began = time.perf_counter()
        table = catalog.load_table(asked["table"])
        options = CompactOptions.model_validate(asked["options"])
        work = Work(
            settings=settings,
            catalog=catalog,
            table=table,
            name=asked["table"],
            ref="main",
            keep=Keep(),
            journal=notes,
            publish=partial(committed, catalog),
        )
        # Whoever asks for it waits for the plan as well.
        compact.plan(table, "main", options, Keep())
        result = compact.execute(work, options)
        taken = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {"seconds": taken, "peak": peak, "files": result.new_files, "bytes": result.new_bytes}

    serve(answer)


if __name__ == "__main__":
    main()
