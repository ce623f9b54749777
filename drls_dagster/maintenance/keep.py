"""What expiry must keep of a table, and why (ADR 42).

Asked of the lifecycle (releases, requests, sessions, permits, drift), of the ledger (runs that are being executed) and
of the tables that are read from this one (positions, D4). What only Iceberg's own rules keep is `lakehouse.retention`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.locating import load_if_exists, look_at
from drls_dagster.lakehouse.naming import is_environments_own, separate_location, table_location
from drls_dagster.lakehouse.positions import POSITIONS, RESET
from drls_dagster.ledger import Ledger, open_ledger
from drls_dagster.lifecycle_client.gateway import open_lifecycle
from drls_dagster.lifecycle_client.opening import NoLifecycleYet
from drls_dagster.maintenance.work import Keep, Work
from drls_dagster.settings import Settings
from lifecycle.domain.environment import Environment
from lifecycle.spec import IcebergSource, PipelineSpec
from lifecycle.usecases.context import Context
from lifecycle.usecases.kept_snapshots import Reader, kept_snapshots, readers
from lifecycle.usecases.parts.visible_tables import real_name

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

_RUN = "drls_run_"


def keep_of(settings: Settings, catalog: Catalog, table: Table) -> Keep:
    """What must stay of `table` now. Raises StoreError where the lifecycle cannot be asked."""
    try:
        ctx = open_lifecycle(settings)
    except NoLifecycleYet:
        ctx = None
    return keep_for(ctx, open_ledger(settings), catalog, table)


def keep_for(ctx: Context | None, ledger: Ledger, catalog: Catalog, table: Table) -> Keep:
    """The same of a lifecycle that is open; None: nothing is saved here, so nothing is deployed."""
    return _Keeping(ctx, ledger, catalog, table).keep()


def keep_now(work: Work, table: Table) -> Keep:
    """What the operation was given to keep, and what has come to it since."""
    now = keep_of(work.settings, work.catalog, table)
    return Keep(refs={**now.refs, **work.keep.refs}, snapshots={**now.snapshots, **work.keep.snapshots})


@dataclass
class _Keeping:
    ctx: Context | None
    ledger: Ledger
    catalog: Catalog
    table: Table
    refs: dict[str, str] = field(default_factory=dict[str, str])
    snapshots: dict[int, str] = field(default_factory=dict[int, str])

    def keep(self) -> Keep:
        self._runs()
        if self.ctx is not None:
            self._lifecycle(self.ctx)
            self._consumers(self.ctx)
        self._own_positions()
        return Keep(self.refs, self.snapshots)

    def _add(self, snapshot: int | None, why: str) -> None:
        if snapshot is not None:
            self.snapshots.setdefault(snapshot, why)

    def _line(self, head: int | None, until: int, why: str) -> None:
        """Everything from `head` back to `until`; `until` alone where it is no ancestor."""
        line = list(refs.ancestors(self.table, head))
        ids = [one.snapshot_id for one in line]
        if until in ids:
            for one in ids[: ids.index(until) + 1]:
                self._add(one, why)
        self._add(until, why)

    def _runs(self) -> None:
        """Branches of runs back to where they left another ref, and what runs are pinned to (D1, D13)."""
        name, uuid = ".".join(self.table.name()), str(self.table.metadata.table_uuid)
        for one in self.ledger.branches(name):
            self.refs[one.branch] = f"run {one.run_id[:8]} writes to it, or its check failed"
        others = {
            one.snapshot_id
            for ref, at in self.table.metadata.refs.items()
            if not ref.startswith(_RUN) and ref not in self.refs
            for one in refs.ancestors(self.table, at.snapshot_id)
        }
        for ref, at in self.table.metadata.refs.items():
            if ref.startswith(_RUN) or ref in self.refs:
                for one in refs.ancestors(self.table, at.snapshot_id):
                    self._add(one.snapshot_id, f"branch {ref} of a run begins there")
                    if one.snapshot_id in others:
                        break
        for pin in self.ledger.pins_in_use():
            if isinstance(pin, dict) and pin.get("uuid") == uuid and pin.get("snapshot") is not None:
                self._add(int(pin["snapshot"]), "a run is reading it")

    def _own_positions(self) -> None:
        """As a sink: back to the snapshot that says how far each source was read (D4)."""
        resets = {
            name.removeprefix(RESET): json.loads(text)["after"]
            for name, text in self.table.properties.items()
            if name.startswith(RESET)
        }
        known = {
            source
            for one in self.table.metadata.snapshots
            for source in json.loads(refs.summary(one).get(POSITIONS) or "{}")
        }
        # From wherever a run may continue; one that a rollback returns to is in here already.
        for head in (*_heads(self.table), *list(self.snapshots)):
            left = set(known)
            line: list[int] = []
            for one in refs.ancestors(self.table, head):
                line.append(one.snapshot_id)
                told = set(json.loads(refs.summary(one).get(POSITIONS) or "{}"))
                told |= {source for source, after in resets.items() if after == one.snapshot_id}
                if left & told:
                    left -= told
                    for snapshot in line:
                        self._add(snapshot, "it says how far a source was read")
                if not left:
                    break

    def _lifecycle(self, ctx: Context) -> None:
        for one in kept_snapshots(ctx, real_name(".".join(self.table.name()))):
            if not self._is_here(one.environment):
                continue
            if one.chain:
                head = one.of if one.of is not None else refs.read_head(self.table, one.environment.ref)
                self._line(head, one.snapshot, one.why)
            else:
                self._add(one.snapshot, one.why)

    def _is_here(self, environment: Environment) -> bool:
        """Whether this is the table that the environment uses, or the real one, which its branch is of."""
        name = ".".join(self.table.name())
        if not is_environments_own(name):
            return environment is not Environment.DEVELOPMENT
        real = real_name(name)
        own = (table_location(environment, real), separate_location(environment, real))
        return any(one is not None and one.identifier == self.table.name() for one in own)

    def _consumers(self, ctx: Context) -> None:
        """From a head back to where each sink that reads this table incrementally has come (D4)."""
        uuid, name = str(self.table.metadata.table_uuid), real_name(".".join(self.table.name()))
        for reader in readers(ctx, name):
            spec = PipelineSpec.model_validate_json(reader.spec, by_alias=True, by_name=False)
            sources = [
                node.source
                for node in spec.nodes
                if node.type == "source" and isinstance(node.source, IcebergSource) and node.source.table == name
            ]
            for source in sources:
                self._as_of(source, reader)
            if all(source.read in ("full", "as_of") for source in sources):
                continue
            for sink in spec.sinks:
                why = f"{reader.pipeline} has read up to it in {reader.environment.label}"
                for position in self._positions_of(ctx, reader.environment, sink.table, uuid):
                    self._position(position, why)

    def _positions_of(self, ctx: Context, environment: Environment, sink: str, source: str) -> Iterator[int]:
        """How far a sink has read the source of this uuid, at each head and where a rollback would return to."""
        look = look_at(self.catalog, environment, sink)
        real = load_if_exists(self.catalog, table_location(Environment.PRODUCTION, sink).identifier)
        back = [one.snapshot for one in kept_snapshots(ctx, sink) if not one.chain]
        for table in (look.table, real):
            if table is None:
                continue
            told = {
                one.snapshot_id: int(one.positions[source])
                for one in self.ledger.publishes(str(table.metadata.table_uuid))
                if source in one.positions
            }
            text = table.properties.get(RESET + source)
            reset = json.loads(text) if text else None
            if reset and reset["position"] is not None:
                yield int(reset["position"])
            for head in (*_heads(table), *back):
                for one in refs.ancestors(table, head):
                    positions = json.loads(refs.summary(one).get(POSITIONS) or "{}")
                    found = positions.get(source, told.get(one.snapshot_id))
                    if found is not None:
                        yield int(found)
                        break

    def _position(self, position: int, why: str) -> None:
        for head in _heads(self.table):
            ids = [one.snapshot_id for one in refs.ancestors(self.table, head)]
            if position in ids:
                self._line(head, position, why)
        self._add(position, why)

    def _as_of(self, source: IcebergSource, reader: Reader) -> None:
        why = f"{reader.pipeline} reads this snapshot in {reader.environment.label}"
        self._add(source.snapshot, why)
        if source.timestamp is not None:
            at = self.table.snapshot_as_of_timestamp(int(source.timestamp.timestamp() * 1000))
            self._add(at.snapshot_id if at else None, why)


def _heads(table: Table) -> list[int]:
    """Heads of branches, and candidates that wait for approval: whatever may be continued from."""
    return list(
        dict.fromkeys(
            at.snapshot_id
            for ref, at in table.metadata.refs.items()
            if at.snapshot_ref_type == "branch" or ref.startswith("drls-candidate-")
        )
    )
