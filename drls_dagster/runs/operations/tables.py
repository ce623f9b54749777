"""Tables, as a run loads, creates and changes them: within what its version writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.runs.operation import operation
from drls_dagster.runs.table_words import FileContent, Name, Raised, TableState

if TYPE_CHECKING:
    from drls_dagster.runs.run import Run


@operation()
def load_table(run: Run, table: Name) -> TableState | Raised:
    """A table as it is now."""
    return run.tables.load_table(table)


@operation()
def create_namespace(run: Run, namespace: Name) -> Raised | None:
    """Makes the namespace of a table that the run writes, where it is missing."""
    return run.tables.create_namespace(namespace)


@operation()
def create_table(
    run: Run, table: Name, columns: str, partition_spec: str, sort_order: str, properties: dict[str, str]
) -> TableState | Raised:
    """Makes a table that the run writes."""
    return run.tables.create_table(table, columns, partition_spec, sort_order, properties)


@operation(late=True)
def commit_table(run: Run, commit: str) -> TableState | Raised:
    """Changes a table that the run writes: its columns and layout, and the run's own branches."""
    return run.tables.commit_table(commit)


@operation()
def read_metadata(run: Run, table: Name, location: str) -> FileContent | Raised:
    """A metadata or manifest file of a table, from storage that the run has no credential for."""
    return run.tables.read_metadata(table, location)
