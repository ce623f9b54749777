"""What the data plane knows about a table, as plans reason with it."""

from __future__ import annotations

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
