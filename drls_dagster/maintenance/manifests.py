"""Rewrite manifests: the same files in fewer manifests, sorted by partition, so that planning a read opens few of them.

Entries keep their sequence numbers and the snapshots that added them; no row and no data file changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog_config import warehouse_folder
from drls_dagster.lakehouse.commit_retry import ATTEMPTS, CommitConflictError
from drls_dagster.lakehouse.file_removal import Removal, Removed, own_folders
from drls_dagster.lakehouse.listing import stale_metadata
from drls_dagster.lakehouse.reachable import manifests_of, normal
from drls_dagster.lakehouse.reread import Reread, load_again
from drls_dagster.lakehouse.rewriting import MANIFEST_BYTES, Change, replace
from drls_dagster.maintenance.work import Keep, Work
from lifecycle.domain.operations import (
    ManifestOptions,
    ManifestResult,
    OperationKind,
    OperationPlan,
    Progress,
    plan_digest,
)

if TYPE_CHECKING:
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table

NOTE = "manifests"
_EIGHT_MEBIBYTES = 8 << 20


def plan(table: Table, ref: str, options: ManifestOptions, keep: Keep) -> OperationPlan:
    """What a rewrite of the manifests of `ref` would do. Raises UsageError for a ref that the table does not have."""
    base = _base(table, ref)
    every = _manifests(table, base)
    chosen, becomes = _chosen(table, every, options)
    figures = {
        "manifests_before": len(every),
        "manifests_after": len(every) - len(chosen) + becomes,
        "bytes": sum(one.manifest_length for one in chosen),
    }
    target = _target(table, options) / (1 << 20)
    return OperationPlan(
        kind=OperationKind.MANIFESTS,
        table=".".join(table.name()),
        ref=ref,
        base=base,
        needed=bool(chosen),
        reasons=(
            f"{len(chosen)} of {len(every)} manifests fit into {becomes} of about {target:.3g} MiB"
            if chosen
            else f"{len(every)} manifests are as few as their size allows",
        ),
        figures=figures,
        cost=f"{figures['bytes']} bytes of manifests are read and written; no data is read",
        digest=plan_digest(OperationKind.MANIFESTS, str(table.metadata.table_uuid), ref, base, options, figures),
    )


def execute(work: Work, options: ManifestOptions) -> ManifestResult:
    """Rewrites what needs it now; tried again while others commit.

    Raises CommitConflictError when others are faster at every try: nothing has changed then.
    """
    complete(work)
    for _ in range(ATTEMPTS):
        table = load_again(work.catalog, work.table, Reread.SWAP)
        base = _base(table, work.ref)
        every = _manifests(table, base)
        chosen, _ = _chosen(table, every, options)
        if base is None or not chosen:
            return ManifestResult(rewritten_manifests=0, new_manifests=0)
        work.report(Progress(done=0, total=len(chosen), what="manifests"))
        change = Change(regroup=frozenset(one.manifest_path for one in chosen), manifest_bytes=_target(table, options))

        def note(path: str, at: str = table.metadata_location) -> None:
            work.journal.note(NOTE, path=path, base=at)

        made = replace(table, base, change, note=note)
        try:
            work.table = work.publish(table, work.ref, base, made.update, made.snapshot.snapshot_id)
        except refs.RefMoved:
            complete(work)
            continue
        complete(work)
        return ManifestResult(rewritten_manifests=made.rewritten_manifests, new_manifests=made.new_manifests)
    raise CommitConflictError(
        f"rewriting the manifests of {work.name}: other writers committed first {ATTEMPTS} times, so nothing was "
        "written. Try again when they have finished."
    )


def complete(work: Work) -> None:
    """Removes what a killed or overtaken rewrite has written and no snapshot needs."""
    notes = work.journal.notes(NOTE)
    if not notes:
        return
    work.table = table = load_again(work.catalog, work.table, Reread.WRITTEN)
    lists = [one.manifest_list for one in table.metadata.snapshots]
    needed = {normal(one) for one in (*lists, *manifests_of(table.io, lists))}
    unused: list[tuple[str, int | None]] = [
        (one.facts["path"], None) for one in notes if normal(one.facts["path"]) not in needed
    ]
    with Removal(table.io, own_folders(table, warehouse_folder(work.settings))) as removal:
        removal.remove(unused, Removed())
        stale = stale_metadata(table, {one.facts["base"] for one in notes})
        removal.remove([(one.path, one.size) for one in stale], Removed())
    work.journal.settle(notes)


def _base(table: Table, ref: str) -> int | None:
    base = refs.head(table, ref)
    if base is None and ref != "main":
        known = ", ".join(sorted(table.metadata.refs)) or "none"
        raise UsageError(f"{'.'.join(table.name())} has no branch {ref!r}; it has: {known}")
    return base


def _manifests(table: Table, base: int | None) -> list[ManifestFile]:
    snapshot = table.snapshot_by_id(base) if base is not None else None
    return snapshot.manifests(table.io) if snapshot is not None else []


def _target(table: Table, options: ManifestOptions) -> int:
    return options.target_bytes or int(table.properties.get(MANIFEST_BYTES, _EIGHT_MEBIBYTES))


def _chosen(table: Table, every: Sequence[ManifestFile], options: ManifestOptions) -> tuple[list[ManifestFile], int]:
    """The manifests to rewrite, and about how many they become: of each partition spec and content where it helps."""
    target = _target(table, options)
    groups: dict[tuple[int, int], list[ManifestFile]] = {}
    for one in every:
        groups.setdefault((one.partition_spec_id, int(one.content)), []).append(one)
    chosen: list[ManifestFile] = []
    becomes = 0
    for manifests in groups.values():
        live = [one for one in manifests if _has_files(one)]
        wanted = math.ceil(sum(one.manifest_length for one in live) / target)
        if len(manifests) > wanted:
            chosen += manifests
            becomes += wanted
    return chosen, becomes


def _has_files(manifest: ManifestFile) -> bool:
    return manifest.has_added_files() or manifest.has_existing_files()
