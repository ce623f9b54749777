"""A person's decision about an incremental position that was lost or left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.commit_retry import commit_with_retry
from drls_dagster.lakehouse.positions import reset_property

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from drls_dagster.lakehouse.tables import FoundTable


def reset_position(catalog: Catalog, sink: FoundTable, source: FoundTable, to: str) -> int | None:
    """Let `sink` continue reading `source` from `to`: `start`, `head` (only what comes) or a snapshot id.

    Noted in the sink's properties, valid from its head on; the next publish carries the position again.
    Gives the snapshot that is taken as read, None for the start. Raises UsageError for a snapshot that `source` lacks.
    """
    if to == "start":
        position = None
    elif to == "head":
        position = refs.head(source.table, source.ref)
    elif to.isdigit() and source.table.snapshot_by_id(int(to)) is not None:
        position = int(to)
    else:
        raise UsageError(f"{source.name} has no snapshot {to!r}; use start, head or a snapshot from `drls table show`")
    uuid = str(source.table.metadata.table_uuid)

    def attempt() -> None:
        table = catalog.load_table(sink.table.name())
        with table.transaction() as transaction:
            transaction.set_properties(dict(reset_property(uuid, refs.head(table, sink.ref), position)))

    commit_with_retry(attempt, what=f"position of {sink.name}")
    return position
