"""The change feed of a table: which rows each snapshot added, removed and updated, as Arrow batches, no engine."""

from drls_dagster.lakehouse.changes.feed import Feed, change_feed, read_changes
from drls_dagster.lakehouse.changes.steps import ChangesUnreadable

__all__ = ["ChangesUnreadable", "Feed", "change_feed", "read_changes"]
