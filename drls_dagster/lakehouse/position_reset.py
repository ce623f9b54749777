"""A person's decision about an incremental position that was lost or left behind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.column_positions import PREFIX, VALUE, ColumnPosition
from drls_dagster.lakehouse.commit_retry import commit_with_retry
from drls_dagster.lakehouse.positions import At, reset_property, sources_of

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from drls_dagster.lakehouse.tables import FoundTable

OFFSETS = re.compile(r"\d+=\d+(,\d+=\d+)*")


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
    _note(catalog, sink, str(source.table.metadata.table_uuid), position)
    return position


def reset_elsewhere(catalog: Catalog, sink: FoundTable, source: str, to: str) -> None:
    """The same for a topic of Kafka or rows of a database, by the name that a sink keeps them by.

    `to` is `start`, or a topic's next offsets, or the value of the column that counts as read. Raises UsageError for
    what the sink has not read, and where `to` is neither.
    """
    head = refs.head(sink.table, sink.ref)
    read = {
        name: key for one in refs.ancestors(sink.table, head) for name, key in sources_of(refs.summary(one)).items()
    }
    # Rows of a database that a sink has read elsewhere: the run that meets another database names that one.
    known = {name.rpartition("@")[0]: key for name, key in read.items() if key.startswith(PREFIX)}
    key = read.get(source) or known.get(source.rpartition("@")[0])
    if key is None:
        names = ", ".join(sorted(name for name in read if "/" in name)) or "none"
        raise UsageError(
            f"{sink.name} has read no topic and no rows of a database named {source!r}; it has read: {names}"
        )
    is_column = key.startswith(PREFIX)
    if to != "start" and not (VALUE if is_column else OFFSETS).fullmatch(to):
        raise UsageError(
            f"{to!r} is no value of a column; use start, or a number, a date or a timestamp: '2024-01-31 12:00:00'"
            if is_column
            else f"{to!r} is no position in a topic; use start, or next offsets: 0=120,1=87"
        )
    position = ColumnPosition(to).text if is_column else to
    _note(catalog, sink, source, None if to == "start" else position)


def _note(catalog: Catalog, sink: FoundTable, source: str, position: At | None) -> None:
    def attempt() -> None:
        table = catalog.load_table(sink.table.name())
        with table.transaction() as transaction:
            transaction.set_properties(dict(reset_property(source, refs.head(table, sink.ref), position)))

    commit_with_retry(attempt, what=f"position of {sink.name}")
