"""Tables of the server at DRLS_URL, in the form that the commands print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drls_dagster.cli.lifecycle import lifecycle
from lifecycle.domain.environment import Environment

if TYPE_CHECKING:
    from lifecycle.domain.tables import TableRows
    from lifecycle.usecases.read_tables import TableInfo


def summaries() -> tuple[TableInfo, ...]:
    """Every table that the caller may see."""
    with lifecycle() as client:
        return client.tables.list()


def as_json(found: TableInfo) -> dict[str, Any]:
    """A summary under the keys that `drls table list` prints."""
    shown = {name: value for name, value in dict(found).items() if name != "snapshot"}
    return {**shown, "snapshot_id": found.snapshot}


def description(name: str, environment: Environment | None, snapshots: int) -> dict[str, Any]:
    """A table with its columns and latest snapshots."""
    with lifecycle() as client:
        found = client.tables.show(name, environment=environment)
        columns = client.tables.schema(name, environment=environment, most=10_000)
        history = client.tables.history(name, environment=environment, limit=snapshots)
    return {
        "name": found.name,
        "location": found.location,
        "format_version": found.format_version,
        "uuid": found.uuid,
        "schema": [
            {"id": one.id, "name": one.name, "type": one.type, "required": not one.nullable, "doc": one.doc}
            for one in columns.columns
        ],
        "partition_by": list(found.partition_by),
        "sort_by": list(found.sort_by),
        "properties": found.properties,
        "refs": [{"name": one.name, "type": one.type, "snapshot_id": one.snapshot} for one in found.refs],
        "snapshots": [
            {
                "snapshot_id": one.snapshot,
                "parent_id": one.parent,
                "committed_at": one.at,
                "operation": one.operation,
                "rows": one.rows,
                "added_rows": one.added_rows,
            }
            for one in history
        ],
    }


def preview(
    name: str, environment: Environment | None, limit: int, snapshot: int | None, ref: str | None, text: int
) -> TableRows:
    """A table's first rows."""
    with lifecycle() as client:
        return client.tables.preview(
            name, environment=environment, rows=limit, snapshot=snapshot, ref=ref, text=text, most_bytes=20_000_000
        )
