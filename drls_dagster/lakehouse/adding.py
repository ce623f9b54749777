"""Commits of a snapshot that somebody else wrote: added and made a ref's head in one compare-and-set."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.commit_retry import commit_with_retry
from drls_dagster.lakehouse.reread import Reread, load_again

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.update import AddSnapshotUpdate


def add_to(
    catalog: Catalog,
    table: Table,
    ref: str,
    base: int | None,
    add: AddSnapshotUpdate,
    snapshot_id: int,
    *,
    head: tuple[str, int] | None = None,
) -> Table:
    """Adds the snapshot and moves `ref` from `base` to it; `head`: another ref and where it has to be.

    Returns the table as that commit left it. Raises RefMoved where a ref is elsewhere, or where others committed since
    the snapshot was written: its sequence number would be theirs.
    """
    from pyiceberg.exceptions import CommitFailedException
    from pyiceberg.table.update import AssertTableUUID

    name = ".".join(table.name())
    requirements = (
        AssertTableUUID(uuid=table.metadata.table_uuid),
        refs.ref_is(ref, base),
        *((refs.ref_is(*head),) if head else ()),
    )

    def attempt() -> Table:
        fresh = load_again(catalog, table, Reread.SWAP)
        if fresh.metadata.snapshot_by_id(snapshot_id) is not None and refs.head(fresh, ref) == snapshot_id:
            return fresh  # by an earlier attempt whose answer was lost
        for requirement in requirements:
            try:
                requirement.validate(fresh.metadata)
            except CommitFailedException as error:
                raise refs.RefMoved(f"'{ref}' of {name} moved in the meantime: {error}") from None
        # Format version 1 numbers nothing.
        newest: int = getattr(fresh.metadata, "last_sequence_number", 0)
        if add.snapshot.sequence_number is not None and 0 < add.snapshot.sequence_number <= newest:
            raise refs.RefMoved(f"others committed to {name} in the meantime")
        done = catalog.commit_table(fresh, requirements, (add, refs.set_branch(fresh, ref, snapshot_id)))
        after = copy(fresh)
        after.metadata, after.metadata_location = done.metadata, done.metadata_location
        return after

    return commit_with_retry(attempt, what=f"'{ref}' of {name}")


def drop_unused(catalog: Catalog, table: Table, branch: str, snapshot_id: int) -> None:
    """Removes a branch, and its snapshot where no other ref needs it; what is gone already is fine."""
    from pyiceberg.table.update import AssertTableUUID, RemoveSnapshotsUpdate, TableUpdate

    def attempt() -> None:
        fresh = load_again(catalog, table, Reread.DROP)
        others = (at.snapshot_id for ref, at in fresh.metadata.refs.items() if ref != branch)
        needed = any(snapshot_id in refs.ancestor_ids(fresh, head) for head in others)
        has_it = fresh.metadata.snapshot_by_id(snapshot_id) is not None
        updates: list[TableUpdate] = [refs.remove_ref(branch)] if branch in fresh.metadata.refs else []
        if has_it and not needed:
            updates.append(RemoveSnapshotsUpdate.model_validate({"snapshot-ids": [snapshot_id]}))
        if updates:
            catalog.commit_table(fresh, (AssertTableUUID(uuid=table.metadata.table_uuid),), tuple(updates))

    commit_with_retry(attempt, what=f"'{branch}' of {'.'.join(table.name())}")
