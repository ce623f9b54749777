"""Snapshots and refs: heads, ancestry, run branches, and the compare-and-set that publishes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.commit_retry import commit_with_retry
from drls_dagster.lakehouse.reread import Reread, load_again

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot
    from pyiceberg.table.update import TableRequirement, TableUpdate

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


@dataclass(frozen=True)
class Lineage:
    """A snapshot and those before it, expired ones too, newest first; `complete` up to the table's first.

    `ids` may name one more than `snapshots` has.
    """

    ids: tuple[int, ...]
    snapshots: tuple[Snapshot, ...]
    complete: bool


def lineage(table: Table, snapshot_id: int) -> Lineage:
    """The ancestry as the table's older metadata files know it.

    Java's expiry leaves the id behind the oldest snapshot that stays, PyIceberg's makes it look like the first.
    """
    from pyiceberg.serializers import FromInputFile

    known = {one.snapshot_id: one for one in table.metadata.snapshots}
    parents = {one.snapshot_id: one.parent_snapshot_id for one in known.values()}
    for entry in reversed(table.metadata.metadata_log):
        try:
            older = FromInputFile.table_metadata(table.io.new_input(entry.metadata_file))
        except OSError:
            break
        for one in older.snapshots:
            known.setdefault(one.snapshot_id, one)
            parents[one.snapshot_id] = parents.get(one.snapshot_id) or one.parent_snapshot_id
    ids: list[int] = []
    at: int | None = snapshot_id
    while at is not None:
        ids.append(at)
        at = parents.get(at)
    first = known.get(ids[-1])
    # A table's first snapshot has the sequence number 1, in format version 1 none.
    complete = first is not None and (first.sequence_number or 0) <= 1
    return Lineage(tuple(ids), tuple(known[one] for one in ids if one in known), complete)


def schema_at(table: Table, snapshot_id: int | None) -> Schema:
    """The snapshot's own columns, as its writer left the table; the table's where there is no such snapshot."""
    at = table.snapshot_by_id(snapshot_id) if snapshot_id is not None else None
    schemas = {schema.schema_id: schema for schema in table.metadata.schemas}
    own = at.schema_id if at is not None else None
    return schemas.get(own, table.schema()) if own is not None else table.schema()


def summary(snapshot: Snapshot) -> Mapping[str, str]:
    return snapshot.summary.additional_properties if snapshot.summary else {}


def summary_int(snapshot: Snapshot, key: str) -> int:
    return int(summary(snapshot).get(key, 0))


def create_branch(catalog: Catalog, table: Table, branch: str, snapshot_id: int) -> None:
    """A branch at `snapshot_id`. Raises RefMoved when it exists already.

    The catalog itself compares: nobody else makes a branch of this name, so it is not looked for first.
    """
    _commit(catalog, table, (ref_is(branch, None),), (set_branch(table, branch, snapshot_id),), branch, newest=True)


def drop_branch(catalog: Catalog, table: Table, branch: str) -> None:
    """Remove a branch; without effect when it is not there."""
    from pyiceberg.table.update import AssertTableUUID

    now = load_again(catalog, table, Reread.DROP)
    if branch not in now.metadata.refs:
        return
    requirement = AssertTableUUID(uuid=table.metadata.table_uuid)
    _commit(catalog, now, (requirement,), (remove_ref(branch),), branch, newest=True)


def publish(
    catalog: Catalog,
    table: Table,
    ref: str,
    base: int | None,
    candidate: int,
    branch: str,
    also: tuple[TableRequirement, TableUpdate] | None = None,
    *,
    newest: bool = False,
) -> Table:
    """Move `ref` from `base` to `candidate` and remove the run's branch, in one commit; and what `also` says.

    `newest`: `table` was loaded just now. Returns the table as that commit left it: one metadata file is written and no
    data. Raises RefMoved when `ref` is no longer at `base`, the branch is no longer at `candidate`, or what `also`
    requires does not hold.
    """
    from pyiceberg.table.update import AssertTableUUID, SetPropertiesUpdate

    requirements = (
        AssertTableUUID(uuid=table.metadata.table_uuid),
        ref_is(ref, base),
        ref_is(branch, candidate),
        *(also[:1] if also else ()),
    )
    updates = (
        set_branch(table, ref, candidate),
        remove_ref(branch),
        *((SetPropertiesUpdate(updates={RELEASED: "true"}),) if base is None and ref == "main" else ()),
        *(also[1:] if also else ()),
    )
    return _commit(catalog, table, requirements, updates, ref, newest=newest)


def ref_is(ref: str, snapshot_id: int | None) -> TableRequirement:
    """The requirement that a branch or tag points to `snapshot_id`; None: that there is no such ref."""
    from pyiceberg.table.update import AssertRefSnapshotId

    return AssertRefSnapshotId.model_validate({"ref": ref, "snapshot-id": snapshot_id})


def set_branch(table: Table, ref: str, snapshot_id: int) -> TableUpdate:
    """The update that puts a branch at `snapshot_id`, made if need be; how long it keeps snapshots stays as it is."""
    from pyiceberg.table.update import SetSnapshotRefUpdate

    kept = table.metadata.refs.get(ref)
    retention = kept.model_dump(by_alias=True, exclude_none=True) if kept else {}
    return SetSnapshotRefUpdate.model_validate(
        {**retention, "ref-name": ref, "type": "branch", "snapshot-id": snapshot_id}
    )


def set_tag(tag: str, snapshot_id: int) -> TableUpdate:
    """The update that puts a tag on `snapshot_id`, made if need be."""
    from pyiceberg.table.update import SetSnapshotRefUpdate

    return SetSnapshotRefUpdate.model_validate({"ref-name": tag, "type": "tag", "snapshot-id": snapshot_id})


def remove_ref(ref: str) -> TableUpdate:
    """The update that takes a branch or tag away; its snapshots stay."""
    from pyiceberg.table.update import RemoveSnapshotRefUpdate

    return RemoveSnapshotRefUpdate.model_validate({"ref-name": ref})


def _commit(
    catalog: Catalog,
    table: Table,
    requirements: tuple[TableRequirement, ...],
    updates: tuple[TableUpdate, ...],
    ref: str,
    *,
    newest: bool = False,
) -> Table:
    """Commit with bounded retries: another ref of the table may move at the same time, this one may not (D14).

    `newest`: `table` is what the first attempt begins from; otherwise each one compares with the newest state.
    """
    from pyiceberg.exceptions import CommitFailedException

    name = ".".join(table.name())
    looks = iter((table,) if newest else ())

    def attempt() -> Table:
        fresh = next(looks, None) or load_again(catalog, table, Reread.SWAP)
        for requirement in requirements:
            try:
                requirement.validate(fresh.metadata)
            except CommitFailedException as error:
                raise RefMoved(f"'{ref}' of {name} moved in the meantime: {error}") from None
        done = catalog.commit_table(fresh, requirements, updates)
        after = copy(fresh)
        after.metadata, after.metadata_location = done.metadata, done.metadata_location
        return after

    return commit_with_retry(attempt, what=f"'{ref}' of {name}")
