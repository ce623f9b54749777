"""Expire: let go of old snapshots, then delete the files that no snapshot needs any more.

What goes is written down before the commit: the manifest lists of the snapshots, from which every other file can be
found again. Files are deleted from the inside out (data, manifests, lists), so that what is left after a kill still
says what it names. Whatever the table needs at the time of deletion stays, so that finishing what another process
began is always safe.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog_config import warehouse_folder
from drls_dagster.lakehouse.commit_retry import commit_with_retry
from drls_dagster.lakehouse.file_removal import Removal, Removed, own_folders
from drls_dagster.lakehouse.guarded import unused
from drls_dagster.lakehouse.listing import stale_metadata
from drls_dagster.lakehouse.reachable import files_of, manifests_of, normal, statistics_of
from drls_dagster.lakehouse.reread import Reread, load_again
from drls_dagster.lakehouse.retention import Retention, retention
from drls_dagster.lakehouse.tables import utc_time
from drls_dagster.maintenance.keep import keep_now
from drls_dagster.maintenance.work import Keep, Note, Work
from lifecycle.domain.operations import (
    ExpireOptions,
    ExpireResult,
    OperationKind,
    OperationPlan,
    Progress,
    plan_digest,
)

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot
    from pyiceberg.table.update import TableUpdate

NOTE = "expire"
_PORTION = 500
_BATCH = 500_000

File = tuple[str, "int | None"]


def plan(table: Table, ref: str, options: ExpireOptions, keep: Keep) -> OperationPlan:
    """What expiry would remove now. Reads metadata, manifest lists and manifests."""
    found = _retention(table, options, keep)
    files = size = 0
    if found.expired:
        gone = {one.snapshot_id for one in found.expired}
        stay = [one for one in table.metadata.snapshots if one.snapshot_id not in gone]
        for portion in unneeded(table.io, [one.manifest_list for one in found.expired], stay):
            files += len(portion)
            size += sum(length or 0 for _, length in portion)
    total = len(table.metadata.snapshots)
    figures = {
        "snapshots_before": total,
        "snapshots_after": total - len(found.expired),
        "refs_removed": len(found.refs),
        "files": files,
        "bytes": size,
    }
    return OperationPlan(
        kind=OperationKind.EXPIRE,
        table=".".join(table.name()),
        ref=ref,
        base=refs.head(table, ref),
        needed=bool(found.expired or found.refs),
        reasons=tuple(_reasons(found, total)),
        figures=figures,
        cost=f"one metadata file is written, {files} files are deleted; no data is read",
        digest=plan_digest(
            OperationKind.EXPIRE, str(table.metadata.table_uuid), ref, refs.head(table, ref), options, figures
        ),
    )


def execute(work: Work, options: ExpireOptions) -> ExpireResult:
    """Completes what a killed expiry began, then removes what may go now, whatever was planned.

    Raises CommitConflictError when others commit first at every try: no snapshot is gone then.
    """
    told = Removed()
    complete(work, told)
    expired, remaining = commit_with_retry(lambda: _attempt(work, options), what=f"expiring snapshots of {work.name}")
    if expired or work.journal.notes(NOTE):
        complete(work, told)
    return ExpireResult(
        expired_count=expired, remaining_count=remaining, deleted_files=told.files, deleted_bytes=told.bytes
    )


def complete(work: Work, told: Removed) -> None:
    """Deletes the files of what this or an earlier expiry took out of the table, as far as nothing needs them.

    Raises DrlsError where files cannot be deleted; they are tried again the next time.
    """
    notes = work.journal.notes(NOTE)
    if not notes:
        return
    work.table = table = load_again(work.catalog, work.table, Reread.WRITTEN)
    mine = [one for one in notes if one.facts["uuid"] == str(table.metadata.table_uuid)]
    if mine:
        _delete(work, table, mine, told)
    if told.failed:
        raise DrlsError(
            f"{len(told.failed)} files of {work.name} cannot be deleted, such as {told.failed[0]}; remove the cause, "
            "then expire again"
        )
    work.journal.settle(notes)


def _attempt(work: Work, options: ExpireOptions) -> tuple[int, int]:
    table = load_again(work.catalog, work.table, Reread.SWAP)
    found = _retention(table, options, keep_now(work, table))
    total = len(table.metadata.snapshots)
    if not found.expired and not found.refs:
        return 0, total
    ids = {one.snapshot_id for one in found.expired}
    # After the commit only this says what there is to delete.
    work.journal.note(
        NOTE,
        uuid=str(table.metadata.table_uuid),
        base=table.metadata_location,
        lists=[one.manifest_list for one in found.expired],
        statistics=[list(one) for one in statistics_of(table.metadata, ids)],
    )
    work.report(Progress(done=0, total=len(ids), what="snapshots"))
    required = unused(work.catalog, table.metadata, ids, found.refs)
    done = work.catalog.commit_table(table, required, _changes(table, found))
    return len(ids), len(done.metadata.snapshots)


def _changes(table: Table, found: Retention) -> tuple[TableUpdate, ...]:
    from pyiceberg.table.update import RemovePartitionStatisticsUpdate, RemoveSnapshotsUpdate

    metadata = table.metadata
    ids = [one.snapshot_id for one in found.expired]
    statistics = [one.snapshot_id for one in metadata.partition_statistics if one.snapshot_id in set(ids)]
    updates: list[TableUpdate] = [
        *(refs.remove_ref(name) for name in found.refs),
        *(RemovePartitionStatisticsUpdate.model_validate({"snapshot-id": one}) for one in statistics),
    ]
    if ids:
        updates.append(RemoveSnapshotsUpdate.model_validate({"snapshot-ids": ids}))
    return tuple(updates)


def _retention(table: Table, options: ExpireOptions, keep: Keep) -> Retention:
    return retention(table.metadata, options, keep.refs, keep.snapshots, int(time.time() * 1000))


def _reasons(found: Retention, total: int) -> Iterator[str]:
    if found.expired:
        oldest = min(one.timestamp_ms for one in found.expired)
        yield f"{len(found.expired)} of {total} snapshots may go, the oldest of {utc_time(oldest):%Y-%m-%d %H:%M} UTC"
    else:
        yield f"all {total} snapshots are kept by the table's rules or the options"
    for name in found.refs:
        yield f"{name} is older than its max-ref-age-ms and goes"
    for name, why in sorted(found.held_refs.items()):
        yield f"{name} is older than its max-ref-age-ms and stays: {why}"
    for why, count in sorted(found.held.items()):
        yield f"{count} {'snapshot stays' if count == 1 else 'snapshots stay'}: {why}"


def _delete(work: Work, table: Table, notes: Sequence[Note], told: Removed) -> None:
    metadata = table.metadata
    present = {normal(one.manifest_list) for one in metadata.snapshots}
    lists = {one: None for note in notes for one in note.facts["lists"] if normal(one) not in present}
    used = {normal(path) for path, _ in statistics_of(metadata)}
    statistics = [(path, size) for note in notes for path, size in note.facts["statistics"] if normal(path) not in used]
    folders = own_folders(table, warehouse_folder(work.settings))
    with Removal(table.io, folders) as removal:
        for portion in unneeded(table.io, list(lists), metadata.snapshots):
            removal.remove(portion, told)
            work.report(Progress(done=told.files, total=0, what="files", bytes=told.bytes))
        if lists:
            removal.remove(statistics, told)
        bases = {note.facts["base"] for note in notes}
        removal.remove([(one.path, one.size) for one in stale_metadata(table, bases)], told)


def unneeded(io: FileIO, lists: Sequence[str], kept: Sequence[Snapshot]) -> Iterator[list[File]]:
    """What only these manifest lists reach, and none of the snapshots `kept`: data, then manifests, then the lists.

    Each portion may be deleted before the next one is asked for. What is missing already was deleted before.
    """
    if not lists:
        return
    needed = manifests_of(io, [one.manifest_list for one in kept])
    plain = {normal(one) for one in needed}
    going = {path: size for path, size in manifests_of(io, lists, gone=True).items() if normal(path) not in plain}
    batch: dict[str, int] = {}
    for files in files_of(io, going, gone=True):
        batch.update((normal(file.path), file.size) for file in files)
        if len(batch) >= _BATCH:
            yield from _without(io, batch, needed)
            batch = {}
    yield from _without(io, batch, needed)
    yield from _portions(list(going.items()))
    yield from _portions([(one, None) for one in lists])


def _without(io: FileIO, batch: dict[str, int], needed: Iterable[str]) -> Iterator[list[File]]:
    """The files of `batch` that no manifest of `needed` has."""
    for files in files_of(io, needed) if batch else ():
        for file in files:
            batch.pop(normal(file.path), None)
        if not batch:
            break
    yield from _portions(list(batch.items()))


def _portions(files: Sequence[File]) -> Iterator[list[File]]:
    for start in range(0, len(files), _PORTION):
        yield list(files[start : start + _PORTION])
