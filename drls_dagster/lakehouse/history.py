"""What came before a snapshot, also where expiry has taken some of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.lakehouse import refs
from lifecycle.domain.facts import SnapshotFacts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot


def snapshots_between(table: Table, head: int | None, until: int | None) -> tuple[SnapshotFacts, ...]:
    """The ancestors of `head`, itself first, back to and without `until`; all if `until` is not among them.

    Older metadata files are read only where `until` was not reached and expiry may be the reason.
    """
    found, reached = _up_to(refs.ancestors(table, head), until)
    if head is not None and not reached and until is not None and not _is_whole(found):
        found, reached = _up_to(refs.lineage(table, head).snapshots, until)
    facts = [_facts(snapshot) for snapshot in found]
    if reached and facts:
        # PyIceberg's expiry makes the oldest that stays look like a first one.
        facts[-1] = facts[-1].model_copy(update={"parent": until})
    return tuple(facts)


def descends_from(table: Table, head: int | None, ancestor: int) -> bool:
    """Whether `ancestor` is `head` or came before it."""
    if head is None:
        return False
    found, reached = _up_to(refs.ancestors(table, head), ancestor)
    if reached or any(ancestor in (one.snapshot_id, one.parent_snapshot_id) for one in found):
        return True
    return not _is_whole(found) and ancestor in refs.lineage(table, head).ids


def _up_to(snapshots: Iterable[Snapshot], until: int | None) -> tuple[list[Snapshot], bool]:
    found: list[Snapshot] = []
    for snapshot in snapshots:
        if snapshot.snapshot_id == until:
            return found, True
        found.append(snapshot)
    # The snapshot itself may be expired while the oldest that is left still names it.
    return found, bool(found) and until is not None and found[-1].parent_snapshot_id == until


def _is_whole(found: list[Snapshot]) -> bool:
    """Whether the list goes back to the table's first snapshot, which has the sequence number 1."""
    return bool(found) and (found[-1].sequence_number or 0) <= 1


def _facts(snapshot: Snapshot) -> SnapshotFacts:
    operation = snapshot.summary.operation.value if snapshot.summary else "unknown"
    return SnapshotFacts(id=snapshot.snapshot_id, parent=snapshot.parent_snapshot_id, operation=operation)
