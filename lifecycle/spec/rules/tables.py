"""Rules for the names of tables, for sources and sinks."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.spec.base import reserved_environment
from lifecycle.spec.errors import Problem

# Iceberg's Spark catalog reads `ns.t.branch_x` as a branch of `ns.t`, and likewise with the others.
_SELECTORS = ("branch_", "tag_", "snapshot_id_", "at_timestamp_")


def table_name(node: str, field: str, table: str) -> Iterator[Problem]:
    """What a table may not be called."""
    environment = reserved_environment(table)
    if environment:
        message = f"'{table}' is in a namespace reserved for {environment}"
        remedy = "name the real namespace: each environment finds its own place"
        yield Problem(node, field, message, remedy)
    last = table.rsplit(".", 1)[-1].lower()
    selector = next((word for word in _SELECTORS if last.startswith(word)), None)
    if selector:
        message = f"a table name that begins with '{selector}' selects a part of another table"
        yield Problem(node, field, message, "name the table itself")
