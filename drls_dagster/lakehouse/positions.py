"""Incremental positions: how far a sink has read each of its sources, and what to read from there (D4, D5).

A position belongs to (sink table, source table uuid), and is a snapshot id. Of a Kafka topic, which has an id as well,
it is the offsets of its partitions, as text. It is in the summary of the snapshot that the sink published, and is
looked for along that snapshot's ancestry; the ledger's publish records are the second source.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

    from drls_dagster.ledger import PublishRecord
    from lifecycle.spec import SinkNode

POSITIONS = "drls.positions"  # source table uuid -> snapshot id (id of a topic -> offsets), as JSON
SOURCES = "drls.sources"  # source table name -> its uuid, as JSON
# Table property, by source uuid, or by the name of a topic: {"after": sink snapshot, "position": id, offsets or null}
RESET = "drls.position."

At = int | str
Mode = Literal["append", "overwrite", "overwrite_partitions", "merge"]


class PositionLost(DrlsError):
    """It is unknown how far a source was read; reading it in full again would be a guess."""


class NotIncremental(DrlsError):
    """The source has changed in a way that "what was appended" does not describe."""


@dataclass(frozen=True)
class Position:
    """`snapshot_id` None: nothing of the source was read yet, so all of it is new."""

    snapshot_id: int | None
    known: bool = True


@dataclass(frozen=True)
class Read:
    """Rows of the source up to `end`, from behind `start` where that is not None. Equal: no rows."""

    start: At | None
    end: At | None

    @property
    def snapshots(self) -> tuple[int | None, int | None]:
        """Start and end of a table."""
        return cast("int | None", self.start), cast("int | None", self.end)


def find_position(
    sink: Table | None,
    base: int | None,
    source: Table,
    mode: Mode,
    published: Sequence[PublishRecord],
    *,
    changes: bool = False,
) -> int | None:
    """The snapshot of `source` up to which `sink`, at `base`, has read; None when it has read nothing.

    Raises PositionLost when it has read something and nothing says how far. `changes`: reading all of a table that was
    made anew would keep the rows that are gone.
    """
    again = (
        "the rows that are gone from it would stay"
        if changes
        else ("all its rows would be appended again" if mode == "append" else None)
    )
    uuid, name = str(source.metadata.table_uuid), ".".join(source.name())
    found = position_of(sink, base, name, uuid, again, published)
    return None if found is None else int(found)


def position_of(
    sink: Table | None, base: int | None, name: str, uuid: str, again: str | None, published: Sequence[PublishRecord]
) -> At | None:
    """The same for any source with an id.

    `again` is what reading all of a source that was made anew would do; None where that does no harm.
    """
    if sink is None:
        return None
    reset = sink.properties.get(RESET + uuid) or sink.properties.get(RESET + name)
    after = json.loads(reset) if reset else None
    if base is None:
        return after["position"] if after else None
    told = [record for record in published if uuid in record.positions]
    found = _in_summaries(refs.ancestors(sink, base), sink, name, uuid, again, after)
    if found.known or (found.written_by_drls and not told):
        return found.position  # recorded, or a source that the sink has not read yet
    lineage = refs.lineage(sink, base)
    found = _in_summaries(lineage.snapshots, sink, name, uuid, again, after)
    if found.known:
        return found.position
    for record in told:
        if record.snapshot_id in lineage.ids:
            return record.positions[uuid]
    if told or not (lineage.complete or found.written_by_drls):
        raise PositionLost(
            f"{'.'.join(sink.name())} no longer records how far it has read {name} (the snapshots that did "
            f"were expired or rolled back); {_remedy(sink, name)}"
        )
    return None


@dataclass(frozen=True)
class _Found:
    known: bool
    position: At | None = None
    written_by_drls: bool = False


def _in_summaries(
    snapshots: Iterable[Snapshot],
    sink: Table,
    name: str,
    uuid: str,
    again: str | None,
    reset: Mapping[str, Any] | None,
) -> _Found:
    """What the snapshots, newest first, say of the source `name`; `again` is what reading all of it again would do."""
    written_by_drls = False
    for snapshot in snapshots:
        if reset and reset["after"] == snapshot.snapshot_id:
            return _Found(True, reset["position"])
        positions = _json(refs.summary(snapshot), POSITIONS)
        if uuid in positions:
            return _Found(True, positions[uuid])
        earlier = _json(refs.summary(snapshot), SOURCES).get(name)
        if earlier and earlier != uuid and again:
            raise PositionLost(
                f"{name} was recreated since {'.'.join(sink.name())} read it, so {again}; {_remedy(sink, name)}"
            )
        written_by_drls = written_by_drls or POSITIONS in refs.summary(snapshot)
    return _Found(False, None, written_by_drls)


def plan_read(source: Table, position: int | None, end: int | None, sink: SinkNode, sink_table: str) -> Read:
    """What an incremental read takes: the appends behind `position` up to `end`.

    A position that a rollback of the source left behind is answered by the sink's mode: merge and overwrite
    read again from the common ancestor, append stops. Raises NotIncremental or PositionLost with the remedy.
    """
    name = ".".join(source.name())
    if position is None or end is None:
        return Read(None, end)
    start: int | None = position
    if position not in refs.ancestor_ids(source, end):
        known = {snapshot.snapshot_id for snapshot in source.metadata.snapshots}
        if position not in known:
            raise PositionLost(
                f"{name} no longer has snapshot {position}, up to which sink '{sink.id}' has read it; "
                f"{_remedy_of(sink_table, name)}"
            )
        if sink.mode == "append":
            raise NotIncremental(
                f"{name} was rolled back to before snapshot {position}, up to which sink '{sink.id}' has "
                f"appended its rows; {_remedy_of(sink_table, name)}"
            )
        before = set(refs.ancestor_ids(source, position))
        start = next((one for one in refs.ancestor_ids(source, end) if one in before), None)
    _refuse_other_changes(source, start, end, name)
    return Read(start, end)


def plan_changes(source: Table, position: int | None, end: int | None, sink: SinkNode, sink_table: str) -> Read:
    """What a read of changes takes: those from `position` to `end`, also where the source was rolled back in between.

    Raises PositionLost where the snapshot at `position` has expired.
    """
    if position is not None and end is not None and source.snapshot_by_id(position) is None:
        name = ".".join(source.name())
        raise PositionLost(
            f"{name} no longer has snapshot {position}, up to which sink '{sink.id}' has read it, so which rows were "
            f"deleted since is unknown; {_remedy_of(sink_table, name)} (start writes all rows again, and keeps those "
            "that the source has deleted meanwhile)"
        )
    return Read(position, end) if end is not None else Read(None, None)


def reset_property(source_uuid: str, after: int | None, position: At | None) -> Mapping[str, str]:
    """The table property that lets a sink resume from `position` (None: from the start) after its snapshot `after`."""
    return {RESET + source_uuid: json.dumps({"after": after, "position": position})}


def _refuse_other_changes(source: Table, start: int | None, end: int, name: str) -> None:
    if start is None:
        return  # read in full, whatever happened before
    for snapshot in refs.ancestors(source, end):
        if snapshot.snapshot_id == start:
            return
        operation = snapshot.summary.operation.value if snapshot.summary else "unknown"
        if operation not in {"append", "replace"}:
            raise NotIncremental(
                f"snapshot {snapshot.snapshot_id} of {name} is a change of kind {operation}, which an incremental "
                "read cannot follow; read it in full (read: full), read its changes into a merge sink (read: changes), "
                "or let its writer append"
            )


def sources_of(summary: Mapping[str, str]) -> Mapping[str, str]:
    """The names of the sources that a snapshot says were read, with their ids."""
    return _json(summary, SOURCES)


def _json(summary: Mapping[str, str], key: str) -> dict[str, str]:
    return json.loads(summary.get(key) or "{}")


def _remedy(sink: Table, source: str) -> str:
    return _remedy_of(".".join(sink.name()), source)


def _remedy_of(sink: str, source: str) -> str:
    return f"decide with `drls table reset-position {sink} {source} --to start|head|SNAPSHOT`"
