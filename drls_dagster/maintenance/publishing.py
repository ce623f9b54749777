"""How an operation's snapshots become visible: by one compare-and-set, on governed refs under a permit (L15)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.lakehouse import adding, refs
from drls_dagster.maintenance.work import Journal, Note
from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.run import MaintenancePermit
from lifecycle.errors import Conflict, LifecycleError, NotFound
from lifecycle.usecases.context import Context
from lifecycle.usecases.maintain_table import grant_maintenance, record_maintenance, release_maintenance
from lifecycle.usecases.settle_permits import is_rewritten

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.table.update import AddSnapshotUpdate

PUBLISHING = "publishing"
_WAIT_SECONDS = 150.0  # longer than a run's permit lasts
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Plainly:
    """Publishes where nobody governs the ref."""

    catalog: Catalog

    def __call__(self, table: Table, ref: str, base: int | None, add: AddSnapshotUpdate, snapshot_id: int) -> Table:
        return adding.add_to(self.catalog, table, ref, base, add, snapshot_id)


@dataclass(frozen=True)
class UnderPermit:
    """Publishes on production's main: to a branch first, then under a permit that names the snapshot, with a receipt.

    `check` raises where the operation shall stop; it is asked while another one publishes.
    """

    ctx: Context
    actor: Actor
    catalog: Catalog
    journal: Journal
    pipeline: str
    name: str
    branch: str
    check: Callable[[], None]

    def __call__(self, table: Table, ref: str, base: int | None, add: AddSnapshotUpdate, snapshot_id: int) -> Table:
        if base is None:
            raise Conflict(f"{self.name} has no snapshot yet; there is nothing to rewrite")
        note = self.journal.note(PUBLISHING, branch=self.branch, snapshot=str(snapshot_id), pipeline=self.pipeline)
        try:
            on_branch = adding.add_to(self.catalog, table, self.branch, None, add, snapshot_id, head=(ref, base))
            permit = self._permit(base, snapshot_id)
            try:
                after = refs.publish(self.catalog, on_branch, ref, base, snapshot_id, self.branch)
            except refs.RefMoved:
                release_maintenance(self.ctx, self.actor, permit.id)
                raise
        except (refs.RefMoved, LifecycleError):
            adding.drop_unused(self.catalog, table, self.branch, snapshot_id)
            self.journal.settle([note])
            raise
        record_maintenance(self.ctx, self.actor, permit.id)
        self.journal.settle([note])
        return after

    def _permit(self, base: int, snapshot_id: int) -> MaintenancePermit:
        """Waits while a run publishes the table."""
        until = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                return grant_maintenance(self.ctx, self.actor, self.pipeline, self.name, base, snapshot_id)
            except Conflict:
                if time.monotonic() > until:
                    raise
            self.check()
            time.sleep(_PAUSE_SECONDS)


def complete(ctx: Context, actor: Actor, catalog: Catalog, table: Table, name: str, journal: Journal) -> None:
    """What dead operations were publishing on `table`: its permit is used or given back, and its branch goes."""
    for note in journal.notes(PUBLISHING):
        snapshot = int(note.facts["snapshot"])
        for permit in _live_permits(ctx, note, name, snapshot):
            if is_rewritten(ctx, permit):
                record_maintenance(ctx, actor, permit.id)
            else:
                try:
                    release_maintenance(ctx, actor, permit.id)
                except NotFound:  # settled meanwhile
                    continue
        adding.drop_unused(catalog, table, note.facts["branch"], snapshot)
        journal.settle([note])


def _live_permits(ctx: Context, note: Note, name: str, snapshot: int) -> list[MaintenancePermit]:
    with ctx.store.read() as view:
        try:
            pipeline = view.pipelines.named(note.facts["pipeline"])
        except NotFound:
            return []
        live = view.runs.live_maintenance(pipeline.id, Environment.PRODUCTION)
    return [one for one in live if (one.table_name, one.candidate) == (name, snapshot)]
