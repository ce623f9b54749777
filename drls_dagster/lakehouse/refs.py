"""Snapshots and refs: heads, ancestry, run branches, and the compare-and-set that publishes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

RELEASED = "drls.released"


class RefMoved(DrlsError):
    """The ref is not where it was when the run began: somebody else published meanwhile."""


def head(table: Table, ref: str) -> int | None:
    """The snapshot that `ref` points to; None where the ref does not exist yet."""
    found = table.metadata.refs.get(ref)
    return found.snapshot_id if found else None


def read_head(table: Table, ref: str) -> int | None:
    """What a read in an environment sees: its own branch where the table has one, else `main`."""
    own = head(table, ref)
    return own if own is not None else head(table, "main")


def ancestors(table: Table, snapshot_id: int | None) -> Iterator[Snapshot]:
    """The snapshot and those before it, newest first, as far as the table still knows them."""
    by_id = {snapshot.snapshot_id: snapshot for snapshot in table.metadata.snapshots}
    while snapshot_id is not None and (snapshot := by_id.get(snapshot_id)) is not None:
        yield snapshot
        snapshot_id = snapshot.parent_snapshot_id


def ancestor_ids(table: Table, snapshot_id: int | None) -> list[int]:
    """Like `ancestors`, and the id behind the last one, which expiry may have removed."""
    ids: list[int] = []
    for snapshot in ancestors(table, snapshot_id):
        ids.append(snapshot.snapshot_id)
        snapshot_id = snapshot.parent_snapshot_id
    return [*ids, snapshot_id] if snapshot_id is not None else ids


def summary(snapshot: Snapshot) -> Mapping[str, str]:
    return snapshot.summary.additional_properties if snapshot.summary else {}


def summary_int(snapshot: Snapshot, key: str) -> int:
    return int(summary(snapshot).get(key, 0))


def create_branch(catalog: Catalog, table: Table, branch: str, snapshot_id: int) -> None:
    """A branch at `snapshot_id`. Raises RefMoved when it exists already."""
    from pyiceberg.table.update import AssertRefSnapshotId, SetSnapshotRefUpdate

    update = SetSnapshotRefUpdate(ref_name=branch, type="branch", snapshot_id=snapshot_id)
    _commit(catalog, table, (AssertRefSnapshotId(ref=branch, snapshot_id=None),), (update,), branch)


def drop_branch(catalog: Catalog, table: Table, branch: str) -> None:
    """Remove a branch; without effect when it is not there."""
    from pyiceberg.table.update import AssertTableUUID, RemoveSnapshotRefUpdate

    if branch not in catalog.load_table(table.name()).metadata.refs:
        return
    requirement = AssertTableUUID(uuid=table.metadata.table_uuid)
    _commit(catalog, table, (requirement,), (RemoveSnapshotRefUpdate(ref_name=branch),), branch)


def publish(catalog: Catalog, table: Table, ref: str, base: int | None, candidate: int, branch: str) -> None:
    """Move `ref` from `base` to `candidate` and remove the run's branch, in one commit.

    One metadata file is written and no data. Raises RefMoved when `ref` is not at `base`, or the branch not
    at `candidate`, any more.
    """
    from pyiceberg.table.update import (
        AssertRefSnapshotId,
        AssertTableUUID,
        RemoveSnapshotRefUpdate,
        SetPropertiesUpdate,
        SetSnapshotRefUpdate,
    )

    requirements = (
        AssertTableUUID(uuid=table.metadata.table_uuid),
        AssertRefSnapshotId(ref=ref, snapshot_id=base),
        AssertRefSnapshotId(ref=branch, snapshot_id=candidate),
    )
    updates = (
        SetSnapshotRefUpdate(ref_name=ref, type="branch", snapshot_id=candidate),
        RemoveSnapshotRefUpdate(ref_name=branch),
        *((SetPropertiesUpdate(updates={RELEASED: "true"}),) if base is None else ()),
    )
    _commit(catalog, table, requirements, updates, ref)


def _commit(catalog: Catalog, table: Table, requirements: tuple[object, ...], updates: tuple[object, ...], ref: str) -> None:
    """Commit with bounded retries: another ref of the table may move at the same time, this one may not (D14)."""
    from pyiceberg.exceptions import CommitFailedException

    from drls_dagster.lakehouse.commit import commit_with_retry

    name = ".".join(table.name())

    def attempt() -> None:
        fresh = catalog.load_table(table.name())
        for requirement in requirements:
            try:
                requirement.validate(fresh.metadata)  # pyright: ignore[reportAttributeAccessIssue]
            except CommitFailedException as error:
                raise RefMoved(f"'{ref}' of {name} moved meanwhile: {error}") from None
        catalog.commit_table(fresh, requirements, updates)  # pyright: ignore[reportArgumentType]

    commit_with_retry(attempt, what=f"'{ref}' of {name}")
