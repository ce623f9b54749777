"""The way from one snapshot of a table to another, a step for each snapshot in between."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot


class ChangesUnreadable(DrlsError):
    """The changes between two snapshots cannot be known; the message says why and what to do instead."""


@dataclass(frozen=True)
class Step:
    """From one state of the table to the next; None is the empty table before its first snapshot.

    A step that undoes a snapshot leads from it back to its parent.
    """

    before: Snapshot | None
    after: Snapshot | None

    @property
    def rewrites(self) -> bool:
        """Whether only files change, no rows: a compaction, or new manifests."""
        made = self.after if self.after is not None and self.after.parent_snapshot_id == _id(self.before) else None
        made = made or self.before
        return made is not None and made.summary is not None and made.summary.operation.value == "replace"


def plan_steps(table: Table, start: int | None, end: int | None) -> tuple[Step, ...]:
    """The steps from behind `start` (None: from the table's beginning) up to `end`, oldest first.

    Where `start` is not an ancestor of `end` (it was rolled back, or is on another branch), the steps first undo what
    came after the newest snapshot that both share. Raises ChangesUnreadable where a snapshot in between has expired.
    """
    known = {one.snapshot_id: one for one in table.metadata.snapshots}
    for named in (start, end):
        if named is not None and named not in known:
            raise ChangesUnreadable(
                f"{_name(table)} has no snapshot {named}: it never had it, or the snapshot has expired; "
                f"read the table in full and continue from the snapshot that you read{_oldest(table, end)}"
            )
    forward = list(refs.ancestors(table, end))
    at = next((number for number, one in enumerate(forward) if one.snapshot_id == start), None)
    if at is not None:
        return _between(forward[: at + 1])
    if start is None:
        return _from_the_beginning(table, forward)
    back = list(refs.ancestors(table, start))
    shared = {one.snapshot_id for one in back}
    at = next((number for number, one in enumerate(forward) if one.snapshot_id in shared), None)
    if at is None:
        raise ChangesUnreadable(
            f"snapshots between {start} and {end} of {_name(table)} have expired, or the table was replaced; "
            f"read the table in full at snapshot {end} and continue from there"
        )
    common = forward[at].snapshot_id
    undone = back[: next(number for number, one in enumerate(back) if one.snapshot_id == common) + 1]
    undo = tuple(Step(newer, older) for newer, older in itertools.pairwise(undone))
    return (*undo, *_between(forward[: at + 1]))


def _between(newest_first: list[Snapshot]) -> tuple[Step, ...]:
    oldest_first = newest_first[::-1]
    return tuple(Step(older, newer) for older, newer in itertools.pairwise(oldest_first))


def _from_the_beginning(table: Table, forward: list[Snapshot]) -> tuple[Step, ...]:
    if not forward:
        return ()
    first = forward[-1]
    if not _is_first(table, first):
        raise ChangesUnreadable(
            f"the first snapshots of {_name(table)} have expired; read the table in full at snapshot "
            f"{first.snapshot_id}, the oldest that is left, and the changes from there on"
        )
    return (Step(None, first), *_between(forward))


def _is_first(table: Table, snapshot: Snapshot) -> bool:
    """Whether all that the snapshot has is its own: its parent may have expired, and PyIceberg then leaves no trace."""
    from pyiceberg.manifest import ManifestEntryStatus

    if snapshot.parent_snapshot_id is not None:
        return False
    return all(
        manifest.added_snapshot_id == snapshot.snapshot_id
        and all(
            entry.status == ManifestEntryStatus.ADDED
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)
        )
        for manifest in snapshot.manifests(table.io)
    )


def _oldest(table: Table, end: int | None) -> str:
    line = list(refs.ancestors(table, end))
    return f" ({line[-1].snapshot_id} is the oldest that is left)" if line else ""


def _id(snapshot: Snapshot | None) -> int | None:
    return None if snapshot is None else snapshot.snapshot_id


def _name(table: Table) -> str:
    return ".".join(table.name())
