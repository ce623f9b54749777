"""What differs between two snapshots of a table, from metadata alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.altering.refs import snapshot_named
from drls_dagster.lakehouse.altering.staged import Look
from drls_dagster.lakehouse.diff.columns import match, schema_changes
from drls_dagster.lakehouse.history import descends_from, snapshots_between
from drls_dagster.lakehouse.naming import MAIN
from drls_dagster.lakehouse.refs import schema_at
from drls_dagster.lakehouse.tables import utc_time
from lifecycle.domain.evolution import FileCounts, SnapshotDiff, SnapshotSide
from lifecycle.errors import Refused

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table import Table

Relation = Literal["same", "descendant", "ancestor", "unrelated"]


def difference(look: Look, before: str | None, after: str | None) -> SnapshotDiff:
    """`after` is by default the ref that is read, `before` its parent. Refused without any snapshot."""
    table = look.table
    new = snapshot_named(look, after) if after is not None else refs.head(table, look.ref)
    if new is None:
        raise Refused(f"{look.name} has no snapshot yet, so there is nothing to compare")
    newest = table.snapshot_by_id(new)
    parent = newest.parent_snapshot_id if newest is not None else None
    old = snapshot_named(look, before) if before is not None else parent
    if old is not None and table.snapshot_by_id(old) is None:
        raise Refused(f"snapshot {old} of {look.name}, the one before {new}, has expired; name another one to compare")
    relation, steps = _relation(table, old, new)
    changes = () if old is None else schema_changes(match(schema_at(table, old), schema_at(table, new), by_id=True))
    left, right = _files(table, old, new)
    gone = [one for path, one in left.items() if path not in right]
    made = [one for path, one in right.items() if path not in left]
    total = _totals(table, new)
    return SnapshotDiff(
        table=look.name,
        before=_side(table, before or str(old or "nothing"), old),
        after=_side(table, after or look.ref or MAIN, new),
        relation=relation,
        steps=steps,
        schema_changes=tuple(changes),
        added=_counts(made),
        removed=_counts(gone),
        kept_files=total.files + total.delete_files - len(made),
    )


def _relation(table: Table, old: int | None, new: int) -> tuple[Relation, int | None]:
    if old == new:
        return "same", 0
    if old is None or descends_from(table, new, old):
        return "descendant", len(snapshots_between(table, new, old))
    if descends_from(table, old, new):
        return "ancestor", len(snapshots_between(table, old, new))
    return "unrelated", None


def _files(table: Table, old: int | None, new: int) -> tuple[dict[str, DataFile], dict[str, DataFile]]:
    """The files of each side that are in no manifest of both: manifests never change."""
    manifests = [
        {one.manifest_path: one for one in snapshot.manifests(table.io)} if snapshot is not None else {}
        for snapshot in (table.snapshot_by_id(side) if side is not None else None for side in (old, new))
    ]
    found: list[dict[str, DataFile]] = []
    for own, other in (manifests, manifests[::-1]):
        alone = (manifest for path, manifest in own.items() if path not in other)
        entries = (entry for manifest in alone for entry in manifest.fetch_manifest_entry(table.io))
        found.append({entry.data_file.file_path: entry.data_file for entry in entries})
    return found[0], found[1]


def _counts(files: Iterable[DataFile]) -> FileCounts:
    from pyiceberg.manifest import DataFileContent

    every = list(files)
    data = [one for one in every if one.content == DataFileContent.DATA]
    return FileCounts(
        files=len(data),
        rows=sum(one.record_count for one in data),
        bytes=sum(one.file_size_in_bytes for one in every),
        delete_files=len(every) - len(data),
    )


def _totals(table: Table, snapshot: int) -> FileCounts:
    """What a snapshot has, counted by its manifests and the totals of its summary."""
    from pyiceberg.manifest import ManifestContent

    one = table.snapshot_by_id(snapshot)
    assert one is not None  # noqa: S101 (it was just found)
    files = deletes = 0
    for manifest in one.manifests(table.io):
        live = (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)
        if manifest.content == ManifestContent.DATA:
            files += live
        else:
            deletes += live
    return FileCounts(
        files=files,
        rows=refs.summary_int(one, "total-records"),
        bytes=refs.summary_int(one, "total-files-size"),
        delete_files=deletes,
    )


def _side(table: Table, name: str, snapshot: int | None) -> SnapshotSide:
    one = table.snapshot_by_id(snapshot) if snapshot is not None else None
    if snapshot is None or one is None:
        return SnapshotSide(name=name)
    return SnapshotSide(
        name=name,
        snapshot=snapshot,
        at=utc_time(one.timestamp_ms),
        operation=one.summary.operation.value if one.summary else None,
        counts=_totals(table, snapshot),
    )
