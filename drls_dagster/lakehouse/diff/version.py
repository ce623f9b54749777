"""One side of a comparison in the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.refs import schema_at
from drls_dagster.lakehouse.sessions import tables_of
from drls_dagster.lakehouse.tables import utc_time
from lifecycle.domain.data_diff import Side, SnapshotShown

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.schema import Schema
    from pyiceberg.table import FileScanTask, Table
    from pyiceberg.table.snapshots import Snapshot


@dataclass(frozen=True)
class Version:
    """A snapshot in the table that has it; both None where there is nothing."""

    side: Side
    table: Table | None = None
    snapshot: Snapshot | None = None

    @property
    def schema(self) -> Schema | None:
        """The snapshot's own schema, as its writer left the table."""
        if self.table is None or self.snapshot is None:
            return None
        return schema_at(self.table, self.snapshot.snapshot_id)

    def tasks(self) -> list[FileScanTask]:
        """Its data files with their deletes."""
        if self.table is None or self.snapshot is None:
            return []
        return list(self.table.scan(snapshot_id=self.snapshot.snapshot_id).plan_files())

    def is_of(self, other: Version) -> bool:
        """Whether both are of one table, so that field ids and files mean the same."""
        if self.table is None or other.table is None:
            return False
        return self.table.metadata.table_uuid == other.table.metadata.table_uuid

    def shown(self, rows: int, files: int) -> SnapshotShown:
        at = utc_time(self.snapshot.timestamp_ms) if self.snapshot is not None else None
        return SnapshotShown(
            environment=self.side.environment, snapshot=self.side.snapshot, at=at, rows=rows, files=files
        )


def find_version(catalog: Catalog, name: str, side: Side) -> Version:
    """A side in whichever table of its environment has it. Raises DrlsError for a snapshot that is not there."""
    if side.snapshot is None:
        return Version(side)
    for table in tables_of(catalog, side.environment, name):
        snapshot = table.snapshot_by_id(side.snapshot)
        if snapshot is not None:
            return Version(side, table, snapshot)
    raise DrlsError(
        f"{name} no longer has snapshot {side.snapshot} in {side.environment.label}: it has expired, so there "
        "is nothing to compare; a new request compares the current data"
    )
