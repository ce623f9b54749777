"""Which table is meant, and which of its snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse.known_tables import KnownTables
from drls_dagster.lakehouse.locating import load_if_exists, look_at
from drls_dagster.lakehouse.names import split_name
from drls_dagster.lakehouse.naming import MAIN
from drls_dagster.lakehouse.refs import schema_at
from drls_dagster.lakehouse.tables import utc_time
from lifecycle.domain.tables import Point, TableAt
from lifecycle.errors import Invalid, NotFound
from lifecycle.usecases.parts.visible_tables import unknown_table

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table

_SHOWN = 10


@dataclass(frozen=True)
class Found:
    """A table, and the ref that is read when the caller names no other state."""

    name: str
    table: Table
    ref: str


@dataclass(frozen=True)
class Pinned:
    """A table at a snapshot (None: it has none yet), with the columns that it had there."""

    name: str
    table: Table
    snapshot: int | None
    schema: Schema


def find(catalog: Catalog, at: TableAt) -> Found:
    """Raises NotFound for a table that is not there."""
    if at.environment is None:
        return Found(at.name, _load(catalog, at.name), MAIN)
    try:
        look = look_at(KnownTables(catalog), at.environment, at.name)
    except UsageError as error:
        raise Invalid(error.message) from None
    if look.table is None:
        raise unknown_table(at.name)
    return Found(look.location.name, look.table, MAIN if look.own is None else look.location.ref)


def pin(found: Found, point: Point) -> Pinned:
    """The table at `point`. Raises NotFound for a ref, snapshot or time at which there is nothing."""
    snapshot = _snapshot(found, point)
    return Pinned(found.name, found.table, snapshot, schema_at(found.table, snapshot))


def known_refs(table: Table) -> str:
    """The refs that a table has, for people who named another one."""
    names = sorted(table.metadata.refs)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) + more) or "none"


def _snapshot(found: Found, point: Point) -> int | None:
    table = found.table
    if point.snapshot is not None:
        if table.snapshot_by_id(point.snapshot) is None:
            raise NotFound(
                f"{found.name} has no snapshot {point.snapshot}; drls table history {found.name} lists those it has"
            )
        return point.snapshot
    if point.at is not None:
        return _snapshot_at(found, point)
    ref = point.ref or found.ref
    known = table.metadata.refs.get(ref)
    if known is None and ref != MAIN:
        raise NotFound(f"{found.name} has no ref {ref!r}; it has: {known_refs(table)}")
    return known.snapshot_id if known is not None else None


def _snapshot_at(found: Found, point: Point) -> int:
    """What `main`, or the environment's branch, was at. The log knows of `main` alone."""
    assert point.at is not None  # noqa: S101 (the caller looked)
    then = point.at.timestamp() * 1000
    if found.ref == MAIN:
        log = [(one.timestamp_ms, one.snapshot_id) for one in found.table.metadata.snapshot_log]
    else:
        from drls_dagster.lakehouse.refs import ancestors, head

        log = [(one.timestamp_ms, one.snapshot_id) for one in ancestors(found.table, head(found.table, found.ref))]
    before = [entry for entry in sorted(log) if entry[0] <= then]
    if not before:
        first = f"; its first snapshot is of {utc_time(min(log)[0]):%Y-%m-%d %H:%M:%S} UTC" if log else ""
        raise NotFound(f"{found.name} had no snapshot at {point.at.isoformat()}{first}")
    snapshot = before[-1][1]
    if found.table.snapshot_by_id(snapshot) is None:
        raise NotFound(f"{found.name} was at snapshot {snapshot} at {point.at.isoformat()}, which has expired")
    return snapshot


def _load(catalog: Catalog, name: str) -> Table:
    found = load_if_exists(KnownTables(catalog), split_name(name))
    if found is None:
        raise unknown_table(name)
    return found
