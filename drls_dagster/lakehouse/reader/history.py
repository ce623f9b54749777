"""The snapshots of a table, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.lakehouse.reader.finding import Found, known_refs
from drls_dagster.lakehouse.refs import ancestors, head, summary
from drls_dagster.lakehouse.tables import snapshot_total, utc_time
from lifecycle.domain.tables import SnapshotRow
from lifecycle.errors import NotFound

if TYPE_CHECKING:
    from pyiceberg.table.snapshots import Snapshot


def snapshots(found: Found, ref: str | None, before: int | None, limit: int) -> tuple[list[SnapshotRow], bool]:
    """A page, and whether there is another one. Raises NotFound for an unknown ref or snapshot."""
    table = found.table
    if ref is not None and ref not in table.metadata.refs:
        raise NotFound(f"{found.name} has no ref {ref!r}; it has: {known_refs(table)}")
    every = table.metadata.snapshots if ref is None else list(ancestors(table, head(table, ref)))
    newest = sorted(every, key=lambda one: (one.timestamp_ms, one.sequence_number or 0), reverse=True)
    start = 0
    if before is not None:
        at = next((place for place, one in enumerate(newest) if one.snapshot_id == before), None)
        if at is None:
            raise NotFound(f"{found.name} has no snapshot {before} here; begin again without it")
        start = at + 1
    names: dict[int, list[str]] = {}
    for name, one in sorted(table.metadata.refs.items()):
        names.setdefault(one.snapshot_id, []).append(name)
    page = newest[start : start + limit]
    return [_row(one, names.get(one.snapshot_id, [])) for one in page], start + len(page) < len(newest)


def _row(one: Snapshot, refs: list[str]) -> SnapshotRow:
    return SnapshotRow(
        snapshot=one.snapshot_id,
        parent=one.parent_snapshot_id,
        at=utc_time(one.timestamp_ms),
        operation=one.summary.operation.value if one.summary else None,
        rows=snapshot_total(one, "total-records"),
        added_rows=snapshot_total(one, "added-records"),
        deleted_rows=snapshot_total(one, "deleted-records"),
        data_files=snapshot_total(one, "total-data-files"),
        bytes=snapshot_total(one, "total-files-size"),
        schema_id=one.schema_id,
        refs=tuple(refs),
        run=summary(one).get("drls.run"),
    )
