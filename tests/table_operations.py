"""Operations on tables in the catalog of this test's DRLS_HOME, with a journal in a file: it outlives its process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
from pyiceberg.table import Table

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.listing import files_below
from drls_dagster.lakehouse.reachable import needed, normal
from drls_dagster.maintenance.work import Keep, Note, Work
from drls_dagster.settings import load_settings


class FileJournal:
    """Notes, one a line; open until they are settled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, kind: str, **facts: Any) -> Note:
        made = Note(len(self._all()) + 1, 1, kind, facts)
        self._write([*self._all(), made])
        return made

    def notes(self, kind: str) -> Sequence[Note]:
        return [one for one in self._all() if one.kind == kind]

    def settle(self, notes: Sequence[Note]) -> None:
        over = {one.id for one in notes}
        self._write([Note(one.id, 1, "over" if one.id in over else one.kind, one.facts) for one in self._all()])

    def _all(self) -> list[Note]:
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [Note(**json.loads(line)) for line in lines]

    def _write(self, notes: Sequence[Note]) -> None:
        new = self._path.with_suffix(".new")
        new.write_text("".join(f"{json.dumps(vars(one), default=str)}\n" for one in notes))
        new.replace(self._path)


def publish_plainly(table: Table, ref: str, base: int | None, add: Any, snapshot_id: int) -> Table:
    """One compare-and-set, as on a table that no lifecycle governs."""
    updates = (add, refs.set_branch(table, ref, snapshot_id))
    table.catalog.commit_table(table, (refs.ref_is(ref, base),), updates)
    return table.catalog.load_table(table.name())


def work_on(name: str, ref: str = "main", keep: Keep | None = None) -> Work:
    settings, catalog = load_settings(), load_catalog()
    table = catalog.load_table(tuple(name.split(".")))
    journal = FileJournal(settings.home / f"{name}.journal")
    return Work(settings, catalog, table, name, ref, keep or Keep(), journal, publish_plainly)


def rows_of(table: Table, snapshot: int) -> list[tuple[Any, ...]]:
    """Every row of a snapshot without delete files, sorted, read from the Parquet files by DuckDB."""
    at = table.snapshot_by_id(snapshot)
    assert at is not None
    files = [
        normal(entry.data_file.file_path)
        for manifest in at.manifests(table.io)
        for entry in manifest.fetch_manifest_entry(table.io)
    ]
    if not files:
        return []
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT * FROM read_parquet(?, union_by_name=true, hive_partitioning=false)", [files]
        ).fetchall()
    return sorted(found, key=repr)


def content(name: str) -> dict[str, list[tuple[Any, ...]]]:
    """By ref: its rows."""
    table = load_catalog().load_table(tuple(name.split(".")))
    return {ref: rows_of(table, at.snapshot_id) for ref, at in table.metadata.refs.items()}


def files_needed(name: str) -> set[str]:
    """Every file that some snapshot or metadata version of the table names."""
    table = load_catalog().load_table(tuple(name.split(".")))
    found = {normal(path) for portion in needed(table.io, table.metadata) for path in portion}
    found |= {normal(one.metadata_file) for one in table.metadata.metadata_log}
    return {*found, normal(table.metadata_location)}


def files_there(name: str) -> set[str]:
    table = load_catalog().load_table(tuple(name.split(".")))
    return {one.path for one in files_below(table.io, table.location())}


def require_tidy(name: str) -> None:
    """Nothing that the table needs is missing, and nothing else lies there."""
    assert files_there(name) == files_needed(name)
