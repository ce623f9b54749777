"""A person's decision about an incremental position that was lost or left behind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse import refs
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


def reset_offsets(catalog: Catalog, sink: FoundTable, topic: str, to: str) -> None:
    """The same for a topic of Kafka, by the name that a sink keeps it by: `start`, or offsets.

    Raises UsageError for a topic that the sink has not read.
    """
    if to != "start" and not OFFSETS.fullmatch(to):
        raise UsageError(f"{to!r} is no position in a topic; use start, or next offsets: 0=120,1=87")
    head = refs.head(sink.table, sink.ref)
    read = {name for one in refs.ancestors(sink.table, head) for name in sources_of(refs.summary(one))}
    if topic not in read:
        known = ", ".join(sorted(name for name in read if "/" in name)) or "none"
        raise UsageError(f"{sink.name} has read no topic {topic!r}; it has read: {known}")
    _note(catalog, sink, topic, None if to == "start" else to)


def _note(catalog: Catalog, sink: FoundTable, source: str, position: At | None) -> None:
    def attempt() -> None:
        table = catalog.load_table(sink.table.name())
        with table.transaction() as transaction:
            transaction.set_properties(dict(reset_property(source, refs.head(table, sink.ref), position)))

    commit_with_retry(attempt, what=f"position of {sink.name}")
