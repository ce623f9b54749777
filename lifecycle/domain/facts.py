"""What the data plane knows about a table, as plans reason with it."""

from __future__ import annotations

from collections.abc import Mapping

from lifecycle.domain.model import Frozen, SnapshotId


class SnapshotFacts(Frozen):
    """One snapshot on a ref. `operation` is Iceberg's: append, replace, overwrite, delete."""

    id: SnapshotId
    parent: SnapshotId | None
    operation: str


class TableFacts(Frozen):
    """A sink table as one environment sees it.

    `head` is None for a ref without a snapshot, `uuid` None for a table that is not there yet.
    `separate` says, in words, why this table's data cannot be carried by moving a ref (D10, another
    catalog); None when it can.
    """

    table: str
    uuid: str | None
    head: SnapshotId | None
    separate: str | None = None


def only_rewritten(head: int | None, base: int | None, rewrites: Mapping[int, int]) -> bool:
    """Whether `head` holds the rows of `base`: step by step, each snapshot explained by `rewrites`."""
    seen: set[int] = set()
    while head is not None and head != base:
        if head in seen or head not in rewrites:
            return False
        seen.add(head)
        head = rewrites[head]
    return head == base
