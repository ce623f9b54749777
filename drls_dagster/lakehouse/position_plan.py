"""Where the incremental reads of a version would continue, for a promotion plan (D4)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.locating import Loads, look_at
from drls_dagster.lakehouse.positions import (
    POSITIONS,
    RESET,
    PositionLost,
    find_position,
    plan_changes,
    plan_read,
    sources_of,
)
from drls_dagster.lakehouse.tables import snapshot_total
from drls_dagster.ledger import Ledger
from lifecycle.domain.environment import Environment
from lifecycle.domain.plan import PositionPlan
from lifecycle.spec import IcebergSource, JdbcSource, KafkaSource, PipelineSpec, SinkNode

if TYPE_CHECKING:
    from pyiceberg.table import Table


def planned_positions(
    catalog: Loads, ledger: Ledger, spec: PipelineSpec, source: Environment, target: Environment
) -> tuple[PositionPlan, ...]:
    """For each sink and incremental source above it: where a run in `target` continues.

    The sink is looked at in the environment `source`, what it reads in `target`.
    """
    found: list[PositionPlan] = []
    for sink in spec.sinks:
        look = look_at(catalog, source, sink.table)
        table, base = look.table, look.read
        for name, kind in _followed(spec, sink):
            read = _readable(catalog, target, name)
            known = ledger.publishes(str(table.metadata.table_uuid)) if table is not None else []
            if read is None:
                found.append(PositionPlan(table=sink.table, source=name, state="new"))
                continue
            upstream, end = read
            try:
                position = find_position(table, base, upstream, sink.mode, known, changes=kind == "changes")
            except PositionLost:
                found.append(PositionPlan(table=sink.table, source=name, state="lost"))
                continue
            found.append(_planned(sink, table, base, upstream, position, end, name, kind))
        found.extend(
            PositionPlan(table=sink.table, source=name, state=_state_there(table, base, f"{name}@"))
            for name in _at_connections(spec, sink)
        )
    return tuple(found)


def _at_connections(spec: PipelineSpec, sink: SinkNode) -> list[str]:
    """Topics and followed rows of databases above a sink, each once, as their positions are called up to the `@`."""
    found: list[str] = []
    for node in spec.sources_above(sink.id):
        if isinstance(node.source, KafkaSource):
            found.append(f"{node.source.connection}/{node.source.topic}")
        elif isinstance(node.source, JdbcSource) and node.source.follows:
            found.append(f"{node.source.connection}/{node.id}")
    return list(dict.fromkeys(found))


def _state_there(table: Table | None, base: int | None, name: str) -> Literal["continues", "new", "reset"]:
    """As the sink's snapshots say; whether what follows is still there, only the run asks brokers and databases."""
    if table is None:
        return "new"
    resets = [json.loads(text) for key, text in table.properties.items() if key.startswith(RESET + name)]
    for snapshot in () if base is None else refs.ancestors(table, base):
        if any(one["after"] == snapshot.snapshot_id for one in resets):
            return "reset"
        if any(source.startswith(name) for source in sources_of(refs.summary(snapshot))):
            return "continues"
    return "reset" if base is None and resets else "new"


def _planned(
    sink: SinkNode,
    table: Table | None,
    base: int | None,
    upstream: Table,
    position: int | None,
    end: int,
    name: str,
    kind: str,
) -> PositionPlan:
    state = "new" if position is None else "continues"
    if table is not None and _is_reset(table, base, str(upstream.metadata.table_uuid)):
        state = "reset"
    try:
        plan = plan_changes if kind == "changes" else plan_read
        read = plan(upstream, position, end, sink, sink.table)
    except DrlsError:
        # Rolled back or changed in a way that appending cannot follow: the run would stop and say so.
        return PositionPlan(table=sink.table, source=name, state="lost", position=position)
    rows = _rows(upstream, read.snapshots[0], end, only_appends=kind != "changes")
    return PositionPlan(table=sink.table, source=name, state=state, position=position, rows=rows)


def _followed(spec: PipelineSpec, sink: SinkNode) -> list[tuple[str, str]]:
    """The tables above a sink that are read from a position, each once, and how."""
    sources = (node.source for node in spec.sources_above(sink.id))
    found = [(one.table, one.read) for one in sources if isinstance(one, IcebergSource) and one.follows]
    return list(dict.fromkeys(found))


def _readable(catalog: Loads, environment: Environment, name: str) -> tuple[Table, int] | None:
    """The table that a read in the environment takes, and its head; None where there is nothing to read."""
    for where in (environment, Environment.PRODUCTION):
        look = look_at(catalog, where, name)
        if look.table is not None and look.read is not None:
            return look.table, look.read
    return None


def _is_reset(sink: Table, base: int | None, source_uuid: str) -> bool:
    """Whether a person's decision, not a run, says where reading continues."""
    text = sink.properties.get(RESET + source_uuid)
    if text is None:
        return False
    after = json.loads(text)["after"]
    if base is None:
        return True
    for snapshot in refs.ancestors(sink, base):
        if snapshot.snapshot_id == after:
            return True
        if source_uuid in json.loads(refs.summary(snapshot).get(POSITIONS) or "{}"):
            return False
    return False


def _rows(source: Table, start: int | None, end: int, *, only_appends: bool) -> int | None:
    """Rows between two snapshots as their summaries count them; None where a writer left the number out.

    How many rows another change than an append really changes, no summary says.
    """
    if start is None:
        head = source.snapshot_by_id(end)
        return snapshot_total(head, "total-records") if head else None
    rows = 0
    for snapshot in refs.ancestors(source, end):
        if snapshot.snapshot_id == start:
            return rows
        if snapshot.summary is None or snapshot.summary.operation.value != "append":
            if only_appends or (snapshot.summary is not None and snapshot.summary.operation.value == "replace"):
                continue
            return None
        added = snapshot_total(snapshot, "added-records")
        if added is None:
            return None
        rows += added
    return rows if only_appends else None
