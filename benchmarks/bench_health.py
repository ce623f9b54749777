"""The health of tables: of one with 1,000 files, in manifests by the hundred, and of a fleet.

The other side reads the same manifests with PyIceberg, as whole entries. A first look reads the metadata and all
manifests of a table.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.lab import Lab, in_turn
from benchmarks.report import Line, Side, at_least, at_most

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

    from drls_dagster.settings import Settings

FILES, FLEET, FLEET_FILES = 1_000, 1_000, 100
MILLISECONDS, SECONDS, LINEAR, FASTER = 10.0, 15.0, 1.5, 3.0
_MB = 1_000_000


def run(lab: Lab) -> list[Line]:
    from drls_dagster.lakehouse.catalog import load_catalog
    from drls_dagster.settings import load_settings

    with _home(lab.folder / "health") as home:
        settings = load_settings(home)
        catalog = load_catalog(settings)
        catalog.create_namespace("bench")
        return [*_one(lab, settings, catalog), *_linear(lab, settings, catalog), *_fleet(lab, settings, catalog)]


def _one(lab: Lab, settings: Settings, catalog: Catalog) -> list[Line]:
    """A table as TPC-H's lineitem is: sixteen columns, each with statistics in the manifest."""
    _table(catalog, "files", FILES, 1)
    lines: list[Line] = []
    for what, ready in (("first look", _forget), ("the next look", lambda: None)):
        ours, theirs = in_turn(
            lab.times(25, 5),
            _timed(ready, lambda: _look(settings, catalog, "files")),
            lambda: _entries(catalog, "files"),
        )
        a, b = Side(f"{what} at {FILES:,} files", ours, "ms"), Side("PyIceberg's entries alone", theirs, "ms")
        lines.append(at_most("health", what, a, b, MILLISECONDS, f"≤ {MILLISECONDS:.0f} ms"))
        if ready is _forget:
            lines.append(at_least("health", "reading manifests", a, b, FASTER))
    return lines


def _linear(lab: Lab, settings: Settings, catalog: Catalog) -> list[Line]:
    """Ten times the manifests, of as many files each."""
    few, many = lab.times(50, 10), lab.times(500, 50)
    for count in (few, many):
        _table(catalog, f"manifests_{count}", count * 10, count)
    sides = (
        _timed(_forget, lambda count=count: _look(settings, catalog, f"manifests_{count}")) for count in (few, many)
    )
    small, large = in_turn(lab.times(9, 3), *sides)
    each = [
        Side(f"a manifest of {count}", tuple(one / count for one in values), "ms")
        for count, values in ((many, large), (few, small))
    ]
    limit = each[1].median * LINEAR
    return [at_most("health", f"{many} manifests", each[0], each[1], limit, f"≤ {LINEAR:g} × that of {few}")]


def _fleet(lab: Lab, settings: Settings, catalog: Catalog) -> list[Line]:
    from drls_dagster.lakehouse.reader import IcebergTables

    count = lab.times(FLEET, 50)
    first = _table(catalog, "t00000", FLEET_FILES, 4)
    _copies(catalog, first, count - 1)
    names = [f"bench.t{number:05}" for number in range(count)]
    tables = IcebergTables(settings)

    def ask() -> None:
        found = tables.healths(names)
        assert len(found) == count
        assert all(one.data_file_count == FLEET_FILES for one in found)

    a = Side(f"{count:,} tables of {FLEET_FILES} files", (_timed(_forget, ask)() / 1000,))
    b = Side("again, nothing changed", tuple(_timed(lambda: None, ask)() / 1000 for _ in range(lab.times(5, 2))))
    return [at_most("health", "fleet", a, b, SECONDS, f"≤ {SECONDS:.0f} s")]


def _look(settings: Settings, catalog: Catalog, name: str) -> None:
    from drls_dagster.lakehouse.health.looking import look

    found = look(f"bench.{name}", catalog.load_table(("bench", name)), "main", settings.maintenance)
    assert found.data_file_count


def _entries(catalog: Catalog, name: str) -> float:
    began = time.perf_counter()
    table = catalog.load_table(("bench", name))
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert [entry for one in snapshot.manifests(table.io) for entry in one.fetch_manifest_entry(table.io)]
    return (time.perf_counter() - began) * 1000


def _forget() -> None:
    from drls_dagster.lakehouse.health import files

    files.forget()


def _timed(ready: Callable[[], None], work: Callable[[], None]) -> Callable[[], float]:
    """Milliseconds of `work`, after `ready`."""

    def milliseconds() -> float:
        ready()
        began = time.perf_counter()
        work()
        return (time.perf_counter() - began) * 1000

    return milliseconds


def _table(catalog: Catalog, name: str, files: int, manifests: int) -> Table:
    """A table of so many files in so many manifests; only the first file is there."""
    import pyarrow as pa

    rows = pa.table({f"c{number:02}": pa.array([number, 10**9], pa.int64()) for number in range(16)})
    properties = {"commit.manifest-merge.enabled": "false"}
    table = catalog.create_table(("bench", name), schema=rows.schema, properties=properties)
    table.append(rows)
    (real,) = (one.file for one in table.scan().plan_files())
    with table.transaction() as change:
        change.delete("c00 >= 0")
        each = files // manifests
        for start in range(0, files, each):
            with change.update_snapshot().fast_append() as append:
                for number in range(start, start + each):
                    one = deepcopy(real)
                    one._data[1] = f"{table.location()}/data/{number:06}.parquet"
                    one._data[5] = _MB + number
                    append.append_data_file(one)
    return catalog.load_table(("bench", name))


def _copies(catalog: Catalog, table: Table, count: int) -> None:
    """Tables with files of their own for metadata, manifest list and manifests, as if each had been written."""
    from pyiceberg.catalog.sql import IcebergTables, SqlCatalog
    from sqlalchemy.orm import Session

    assert isinstance(catalog, SqlCatalog)
    folder = Path(table.location().removeprefix("file://"))
    metadata = Path(table.metadata_location.removeprefix("file://"))
    snapshot = table.current_snapshot()
    assert snapshot is not None
    with Session(catalog.engine) as session:
        for number in range(1, count + 1):
            copy = folder.parent / f"t{number:05}"
            (copy / "metadata").mkdir(parents=True)
            text = metadata.read_text().replace(str(folder), str(copy))
            for one in (folder / "metadata").glob("*.avro"):
                os.link(one, copy / "metadata" / one.name)
            (copy / "metadata" / metadata.name).write_text(text)
            session.add(
                IcebergTables(
                    catalog_name=catalog.name,
                    table_namespace="bench",
                    table_name=copy.name,
                    metadata_location=f"file://{copy}/metadata/{metadata.name}",
                    previous_metadata_location=None,
                )
            )
        session.commit()


@contextmanager
def _home(home: Path) -> Iterator[Path]:
    from drls_dagster.ledger import close_ledgers

    before = os.environ["DRLS_HOME"]
    os.environ["DRLS_HOME"] = str(home)
    try:
        yield home
    finally:
        os.environ["DRLS_HOME"] = before
        close_ledgers()
