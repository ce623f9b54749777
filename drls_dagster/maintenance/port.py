"""The port `Maintenance`: plans here, does the work in a process of its own, and follows it in the ledger."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from drls_dagster.errors import UsageError
from drls_dagster.ledger import open_ledger
from drls_dagster.ledger.operations import NewOperation, OperationRow
from drls_dagster.lifecycle_client.adapters import Adapters
from drls_dagster.lifecycle_client.gateway import connected_adapters
from drls_dagster.maintenance.kinds import KINDS, kind_of
from drls_dagster.maintenance.rows import operation_of
from drls_dagster.private_home import private_home
from drls_dagster.settings import Settings
from lifecycle.domain.operations import (
    CompactOptions,
    Operation,
    OperationAt,
    OperationKind,
    OperationPlan,
    OperationState,
    Options,
)
from lifecycle.domain.people import Actor
from lifecycle.domain.table_policy import TablePolicy
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Conflict, Invalid, NotFound
from lifecycle.ports import Maintenance
from lifecycle.usecases.parts.visible_tables import environment_of

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from drls_dagster.lakehouse.reader.finding import Found

CHILD = "drls_dagster.maintenance.child"
# Whose token it is means nothing to the process: it acts for the installation, on behalf of who asked.
_WITHHELD = ("DRLS_TOKEN", "DRLS_URL")


def adapters_with_maintenance(settings: Settings) -> Adapters:
    """The outside as this installation has it, with operations on tables."""
    return replace(connected_adapters(settings), maintenance=TableMaintenance(settings))


class TableMaintenance(Maintenance):
    """Keeps nothing itself. `kinds` and `child` say which module does what, and which one the process runs."""

    def __init__(
        self, settings: Settings, kinds: Mapping[OperationKind, str] = KINDS, child: Sequence[str] = ("-m", CHILD)
    ) -> None:
        self._settings, self._kinds, self._child = settings, kinds, tuple(child)

    def kinds(self) -> Sequence[OperationKind]:
        return tuple(self._kinds)

    def locate(self, table: TableAt, ref: str | None) -> OperationAt:
        found = self._find(table)
        return OperationAt(table=found.name, ref=found.ref if ref is None else ref)

    def policy(self, at: OperationAt, now: datetime) -> TablePolicy:
        from drls_dagster.lakehouse.health.looking import own_properties
        from drls_dagster.maintenance.policy import closed_for, policy_of

        settings = self._settings.maintenance
        closed = closed_for(environment_of(at.table), settings, now)
        found = self._find(TableAt(name=at.table))
        own = own_properties(found.table)
        return policy_of(at.table, own, settings, closed, sortable=_is_sortable(found.table))

    def plan(self, kind: OperationKind, at: OperationAt, options: Options) -> OperationPlan:
        from drls_dagster.lakehouse.catalog import catalog_errors, load_catalog
        from drls_dagster.lakehouse.catalog_config import resolve_catalog
        from drls_dagster.lakehouse.reader.finding import find
        from drls_dagster.maintenance.keep import keep_of

        with catalog_errors(resolve_catalog(self._settings)):
            catalog = load_catalog(self._settings)
            found = find(catalog, TableAt(name=at.table))
            _require_branch(found, at.ref)
            try:
                keep = keep_of(self._settings, catalog, found.table)
                plan = kind_of(kind, self._kinds).plan(found.table, at.ref, options, keep)
            except UsageError as error:
                raise Invalid(error.message) from None
        # As people write it: a part with a dot is quoted.
        return plan.model_copy(update={"table": at.table})

    def reserve(
        self, at: OperationAt, plan: OperationPlan, options: Options, actor: Actor, pipeline: str | None
    ) -> Operation:
        ledger = open_ledger(self._settings)
        row = ledger.reserve(
            NewOperation(
                kind=plan.kind.value,
                table_name=at.table,
                ref=at.ref,
                options=options.model_dump(mode="json"),
                plan=plan.model_dump(mode="json"),
                pipeline=pipeline,
                asked_by=actor.name,
                actor=actor.audited,
            )
        )
        if row is not None:
            return operation_of(row)
        live = ledger.operations([at.table], (OperationState.QUEUED, OperationState.RUNNING), limit=1)
        if not live:
            raise Conflict(f"another operation on {at.table} ended just now; try again")
        raise Conflict(
            f"operation {live[0].id} ({live[0].kind}, started by {live[0].asked_by}) is running on {at.table}; "
            f"wait for it, or cancel it: drls maintain cancel {live[0].id}"
        )

    def forget(self, operation_id: int) -> None:
        open_ledger(self._settings).forget_operation(operation_id)

    def launch(self, operation_id: int) -> None:
        """The process is in a session of its own, so that Ctrl-C here does not reach it; it ends when it is done."""
        file = private_home(self._settings.home, "logs") / "maintenance.log"
        # The environment has what the settings take secrets from; the command line has none.
        environment = {name: value for name, value in os.environ.items() if name not in _WITHHELD}
        environment["DRLS_HOME"] = str(self._settings.home)
        try:
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
                process = subprocess.Popen(
                    [sys.executable, *self._child, str(operation_id)],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    cwd=self._settings.home,
                )
        except OSError:
            open_ledger(self._settings).forget_operation(operation_id)
            raise
        open_ledger(self._settings).launched_operation(operation_id, process.pid)
        # Else it stays a zombie for as long as this process lives.
        threading.Thread(target=process.wait, name=f"drls-operation-{operation_id}", daemon=True).start()

    def operation(self, operation_id: int) -> Operation:
        return operation_of(self._row(operation_id))

    def operations(
        self, table: str | None, states: Sequence[OperationState], before: int | None, limit: int
    ) -> Sequence[Operation]:
        tables = None if table is None else [table]
        return [operation_of(row) for row in open_ledger(self._settings).operations(tables, states, before, limit)]

    def cancel(self, operation_id: int) -> None:
        open_ledger(self._settings).cancel_operation(operation_id)

    def _row(self, operation_id: int) -> OperationRow:
        found = open_ledger(self._settings).operation(operation_id)
        if found is None:
            raise NotFound(f"there is no operation {operation_id}")
        return found

    def _find(self, table: TableAt) -> Found:
        from drls_dagster.lakehouse.catalog import catalog_errors, load_catalog
        from drls_dagster.lakehouse.catalog_config import resolve_catalog
        from drls_dagster.lakehouse.reader.finding import find

        with catalog_errors(resolve_catalog(self._settings)):
            return find(load_catalog(self._settings), table)


def _is_sortable(table: Table) -> bool:
    """Whether it has a sort order that a compaction can follow."""
    from drls_dagster.maintenance.compact.keys import sort_fields

    try:
        return bool(sort_fields(table, CompactOptions(strategy="sort")))
    except UsageError:
        return False


def _require_branch(found: Found, ref: str) -> None:
    """Raises NotFound for a ref that is not there, Invalid for a tag."""
    from drls_dagster.lakehouse.naming import MAIN
    from drls_dagster.lakehouse.reader.finding import known_refs

    known = found.table.metadata.refs.get(ref)
    if known is None and ref != MAIN:
        raise NotFound(f"{found.name} has no ref {ref!r}; it has: {known_refs(found.table)}")
    if known is not None and known.snapshot_ref_type != "branch":
        raise Invalid(f"{ref} of {found.name} is a tag, which never moves; name a branch")
