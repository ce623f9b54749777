"""How many rows a read of an Iceberg table takes, by the summaries of its snapshots: no manifest is read for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from drls_dagster.lakehouse import refs
from drls_dagster.steps.sources.tally import Tally

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from drls_dagster.steps.sources.iceberg import IcebergPin


def tell_rows(tally: Tally, catalog: Catalog, pin: IcebergPin, start: int | None, end: int | None) -> None:
    """All rows at `end`, or those that were appended since `start`."""
    if end is None or start == end:
        tally.known(0)
        return
    table = catalog.load_table(tuple(pin.table.split(".")))
    if start is None:
        _tell_all(tally, table.snapshot_by_id(end))
    else:
        _tell_appended(tally, table, start, end)


def _tell_all(tally: Tally, snapshot: Snapshot | None) -> None:
    told = {} if snapshot is None else refs.summary(snapshot)
    rows, deletes = _number(told, "total-records"), _number(told, "total-delete-files")
    if rows is None or deletes is None:
        tally.unknown("the snapshot's summary does not say how many rows there are")
    elif deletes:
        # A delete may be of a row that an earlier one, or a rewrite, has removed.
        tally.unknown("the table has delete files, and how many rows they remove is known only by reading them")
    else:
        tally.known(rows)


def _tell_appended(tally: Tally, table: Table, start: int, end: int) -> None:
    """Of appends: what else lies in between only rewrites files, and is left out of an incremental read."""
    rows = 0
    for snapshot in refs.ancestors(table, end):
        if snapshot.snapshot_id == start:
            tally.known(rows)
            return
        if snapshot.summary is not None and snapshot.summary.operation.value == "append":
            added = _number(refs.summary(snapshot), "added-records")
            files = _number(refs.summary(snapshot), "added-data-files")
            if added is None and files:
                tally.unknown(f"the summary of snapshot {snapshot.snapshot_id} does not say how many rows it added")
                return
            rows += added or 0
    tally.unknown("snapshots between the last read and this one have expired")


def _number(summary: Mapping[str, str], key: str) -> int | None:
    value = summary.get(key, "")
    return int(value) if value.isdecimal() else None
