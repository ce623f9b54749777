"""The change feed: appends are read about as fast as files are; an overwrite of 1 GB does not need 1 GB of memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import _dataframe_to_data_files
from pyiceberg.table import Table

from benchmarks.lab import Lab
from benchmarks.report import Line, Side, at_most

ROWS = 500_000  # of a file; about 60 MB
FILES, QUICK = 18, 2
EVERY = 100_000  # one row of so many really changes
MEMORY, SLOWER = 700.0, 3.0


def run(lab: Lab) -> list[Line]:
    files = lab.times(FILES, QUICK)
    folder = lab.folder / "changes"
    folder.mkdir()
    catalog = SqlCatalog("changes", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
    catalog.create_namespace("lab")
    rows = _rows(0)
    table = catalog.create_table("lab.t", rows.schema)
    for number in range(files):
        table.append(_rows(number))
    appended = table.metadata.current_snapshot_id
    _rewrite(table, files)
    size = files * rows.nbytes / 1e6
    scan = [_scan(table, appended) for _ in range(lab.times(3, 1))]
    inserts = [_read(table, 0, appended) for _ in range(lab.times(3, 1))]
    changed = [_read(table, appended, None) for _ in range(lab.times(2, 1))]
    note = f"{changed[0]['rows']} changes among {files * ROWS:,} rows, {size:,.0f} MB of Arrow on each side"
    seconds = Side("changes of the appends", tuple(one["seconds"] for one in inserts))
    whole = Side("PyIceberg's scan of them", tuple(scan))
    return [
        at_most("changes", "appends", seconds, whole, SLOWER * whole.median, f"A ≤ {SLOWER:g} × B"),
        at_most(
            "changes",
            "peak memory of an overwrite",
            Side("reader", tuple(one["peak"] for one in changed), "MB"),
            Side("rows overwritten", (size,), "MB"),
            MEMORY,
            f"≤ {MEMORY:g} MB",
            note,
        ),
        Line("changes", "overwrite", Side("feed", tuple(one["seconds"] for one in changed)), whole, note=note),
    ]


def _rows(number: int, changed: bool = False) -> pa.Table:
    made = np.random.default_rng(number)
    ids = np.arange(number * ROWS, (number + 1) * ROWS)
    columns: dict[str, Any] = {"id": ids}
    columns |= {f"n{one}": made.integers(0, 1 << 40, ROWS) for one in range(5)}
    columns |= {f"x{one}": made.random(ROWS) for one in range(5)}
    columns["text"] = pa.array(np.char.add("some text ", made.integers(0, 1 << 20, ROWS).astype(str)))
    if changed:
        columns["n0"] = np.where(ids % EVERY == 0, columns["n0"] + 1, columns["n0"])
    return pa.table(columns)


def _rewrite(table: Table, files: int) -> None:
    """Copy-on-write: one snapshot that replaces every file."""
    old = [task.file for task in table.scan().plan_files()]
    with table.transaction() as transaction, transaction.update_snapshot().overwrite() as update:
        for one in old:
            update.delete_data_file(one)
        for number in range(files):
            for file in _written(transaction.table_metadata, table, number):
                update.append_data_file(file)


def _written(metadata: Any, table: Table, number: int) -> Iterator[Any]:
    yield from _dataframe_to_data_files(metadata, _rows(number, changed=True), table.io)


def _scan(table: Table, snapshot: int | None) -> float:
    began = time.perf_counter()
    for _ in table.scan(snapshot_id=snapshot).to_arrow_batch_reader():
        pass
    return time.perf_counter() - began


def _read(table: Table, since: int | None, until: int | None) -> dict[str, Any]:
    """In a process of its own: memory of this one would count."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.changes_reader",
        table.metadata_location,
        str(since or 0),
        str(until or 0),
    ]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
