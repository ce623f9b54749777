"""What people ask about tables: which there are, what one looks like, its first rows."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.lakehouse.locating import load_if_exists, look_at
from drls_dagster.lakehouse.names import join_name, parts_of
from drls_dagster.lakehouse.naming import MAIN
from drls_dagster.lakehouse.storage_words import in_words
from lifecycle.domain.environment import Environment
from lifecycle.domain.evolution import told

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot


class UnknownTableError(DrlsError):
    """The catalog has no such table; the message names the nearest ones."""


@dataclass(frozen=True)
class TableSummary:
    """The head of a table's `main`.

    `rows`, `data_files` and `bytes` are the snapshot's own totals: 0 for a table without a snapshot,
    None where the writer recorded none. `rows` counts rows that delete files hide. A table whose
    metadata cannot be read has its `error` and nothing else.
    """

    name: str
    rows: int | None = None
    snapshot_id: int | None = None
    data_files: int | None = None
    bytes: int | None = None
    updated_at: datetime | None = None
    format_version: int | None = None
    branches: tuple[str, ...] = ()
    location: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class FoundTable:
    """A table, and the ref to read it at: the environment's branch where it has one, else `main`."""

    name: str
    table: Table
    ref: str


def table_identifiers(catalog: Catalog) -> Iterator[tuple[str, ...]]:
    """Every table of the catalog, in nested namespaces too."""
    from pyiceberg.exceptions import NoSuchNamespaceError

    pending = list(catalog.list_namespaces())
    while pending:
        namespace = pending.pop()
        try:
            yield from catalog.list_tables(namespace)
            pending += catalog.list_namespaces(namespace)
        except NoSuchNamespaceError:
            # Dropped since it was listed.
            continue


def list_tables(catalog: Catalog) -> list[TableSummary]:
    """All tables by name. One that cannot be read is listed with its error."""
    return [summarize(catalog, identifier) for identifier in sorted(table_identifiers(catalog))]


def summarize(catalog: Catalog, identifier: tuple[str, ...], *, missing: bool = False) -> TableSummary:
    """One table. With `missing`, raises NoSuchTableError for one that is not there; otherwise that is its error."""
    from pyiceberg.exceptions import NoSuchTableError

    name = join_name(identifier)
    try:
        table = catalog.load_table(identifier)
    except Exception as error:
        if missing and isinstance(error, NoSuchTableError):
            raise
        return TableSummary(name, error=in_words(error))
    head = table.current_snapshot()
    return TableSummary(
        name,
        rows=snapshot_total(head, "total-records") if head else 0,
        snapshot_id=head.snapshot_id if head else None,
        data_files=snapshot_total(head, "total-data-files") if head else 0,
        bytes=snapshot_total(head, "total-files-size") if head else 0,
        updated_at=utc_time(table.metadata.last_updated_ms),
        format_version=table.format_version,
        branches=tuple(sorted(name for name, ref in table.refs().items() if ref.snapshot_ref_type == "branch")),
        location=table.location(),
    )


def find_table(catalog: Catalog, name: str, environment: Environment | None = None) -> FoundTable:
    """The table called `name`: its exact identifier, or a pipeline's name for it in `environment`.

    Raises UnknownTableError, or UsageError where there is no name.
    """
    if not name.strip():
        raise UsageError("a table name is required: namespace.table; `drls table list` shows all tables")
    if environment:
        look = look_at(catalog, environment, name)
        if look.table is None:
            raise _unknown(catalog, look.location.name)
        return FoundTable(look.location.name, look.table, MAIN if look.own is None else look.location.ref)
    identifier = parts_of(name)
    table = load_if_exists(catalog, identifier) if len(identifier) > 1 else None
    if table is None:
        raise _unknown(catalog, name)
    return FoundTable(name, table, MAIN)


def preview(
    found: FoundTable, *, limit: int, snapshot_id: int | None = None, ref: str | None = None
) -> tuple[int | None, pa.Table]:
    """At most `limit` rows, and the snapshot that they are from (None: the table has none yet).

    Raises DrlsError for a ref or snapshot that the table does not have.
    """
    refs = found.table.refs()
    ref = ref or found.ref
    if snapshot_id is None and ref in refs:
        snapshot_id = refs[ref].snapshot_id
    elif snapshot_id is None and ref != "main":
        raise DrlsError(f"{found.name} has no ref {ref!r}; it has: {told(sorted(refs))}")
    if snapshot_id is None:
        return None, found.table.schema().as_arrow().empty_table()
    if found.table.snapshot_by_id(snapshot_id) is None:
        raise DrlsError(f"{found.name} has no snapshot {snapshot_id}; `drls table show` lists the latest ones")
    return snapshot_id, found.table.scan(snapshot_id=snapshot_id, limit=limit).to_arrow()


def snapshot_total(snapshot: Snapshot, key: str) -> int | None:
    """A number of the snapshot's summary; None where the writer left it out."""
    value = snapshot.summary[key] if snapshot.summary else None
    return int(value) if value is not None else None


def utc_time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _unknown(catalog: Catalog, name: str) -> UnknownTableError:
    name = " ".join(name.split())[:200]
    names = sorted(join_name(identifier) for identifier in table_identifiers(catalog))
    last = name.rpartition(".")[2]
    near = [other for other in names if other.rpartition(".")[2] == last]
    near += [other for other in difflib.get_close_matches(name, names) if other not in near]
    if near:
        return UnknownTableError(f"there is no table {name}; did you mean: {', '.join(near[:3])}?")
    return UnknownTableError(f"there is no table {name}; `drls table list` shows all tables")
