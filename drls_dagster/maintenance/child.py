"""The process of one operation: `python -m drls_dagster.maintenance.child NUMBER`.

It acts with the credentials of the installation, on behalf of who asked. All else that it needs to know is in the
ledger.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyiceberg.table import Table
from pyiceberg.table.update import AddSnapshotUpdate

from drls_dagster.lakehouse.catalog import catalog_errors, load_catalog
from drls_dagster.lakehouse.catalog_config import resolve_catalog
from drls_dagster.lakehouse.reader.finding import find
from drls_dagster.ledger import Ledger, open_ledger
from drls_dagster.ledger.operations import OperationRow
from drls_dagster.lifecycle_client.gateway import open_lifecycle
from drls_dagster.log_lines import set_up_logging
from drls_dagster.maintenance.keep import keep_of
from drls_dagster.maintenance.kinds import KINDS, kind_of
from drls_dagster.maintenance.publishing import Plainly, UnderPermit, complete
from drls_dagster.maintenance.rows import operation_of
from drls_dagster.maintenance.watching import Stopped, Watch
from drls_dagster.maintenance.work import Cancelled, Note, Publish, Work
from drls_dagster.settings import Settings, load_settings
from lifecycle.domain.operations import OPTIONS, OperationKind, OperationState, Result
from lifecycle.domain.people import Actor
from lifecycle.domain.tables import TableAt
from lifecycle.errors import DrlsError, LifecycleError, one_line
from lifecycle.usecases.context import Context
from lifecycle.usecases.operate_table import end_operation

_LOG = logging.getLogger("drls.maintenance")


def main(kinds: Mapping[OperationKind, str] = KINDS) -> None:
    """Ends the process: threads of libraries are not waited for."""
    settings = load_settings()
    set_up_logging(settings)
    code = perform(settings, int(sys.argv[1]), kinds)
    logging.shutdown()
    os._exit(code)


def perform(settings: Settings, number: int, kinds: Mapping[OperationKind, str]) -> int:
    """The exit code: 0 when the operation is done, or was not this process's to do."""
    ledger = open_ledger(settings)
    row = ledger.begin_operation(number)
    if row is None:
        _LOG.warning("operation %s is not waiting for a process", number)
        return 0
    _LOG.info("operation %s: %s of %s at %s, asked for by %s", number, row.kind, row.table_name, row.ref, row.asked_by)
    watch = Watch(ledger, number, settings.ledger.heartbeat_seconds)
    watch.start()
    state, result, error = OperationState.FAILED, None, None
    ctx: Context | None = None
    try:
        ctx = open_lifecycle(settings)
        result = _execute(settings, ctx, ledger, row, watch, kinds)
        state = OperationState.DONE
    except Cancelled:
        state = OperationState.CANCELLED
    except Stopped as stopped:
        error = stopped.message
    except DrlsError as failed:
        error = one_line(failed)
    except Exception as failed:  # noqa: BLE001 whatever it is, the operation ends with a state
        # It may hold a credential or a person's data: the log is the owner's alone.
        _LOG.exception("operation %s failed", number)
        error = f"it failed unexpectedly ({type(failed).__name__}); see why: drls logs maintenance"
    watch.stop()
    _LOG.info("operation %s is %s%s", number, state.value, f": {error}" if error else "")
    _end(ledger, ctx, row, state, result, error)
    return 0 if state is OperationState.DONE else 1


def _execute(
    settings: Settings,
    ctx: Context,
    ledger: Ledger,
    row: OperationRow,
    watch: Watch,
    kinds: Mapping[OperationKind, str],
) -> Result:
    kind = OperationKind(row.kind)
    options = OPTIONS[kind].model_validate(row.options)
    actor = _actor(row).model_copy(update={"part": "maintenance"})
    with catalog_errors(resolve_catalog(settings)):
        catalog = load_catalog(settings)
        table = find(catalog, TableAt(name=row.table_name)).table
        journal = LedgerJournal(ledger, row.id, row.table_name, watch)
        with watch.shield():
            complete(ctx, actor, catalog, table, row.table_name, journal)
        publish: Publish = Plainly(catalog)
        if row.pipeline is not None:
            branch = f"drls-maintain-{row.id}"
            publish = UnderPermit(ctx, actor, catalog, journal, row.pipeline, row.table_name, branch, watch.check)
        table = table.refresh()
        keep = keep_of(settings, catalog, table)
        work = Work(
            settings,
            catalog,
            table,
            row.table_name,
            row.ref,
            keep,
            journal,
            Shielded(publish, watch),
            watch.report,
            governed=row.pipeline is not None,
        )
    try:
        return kind_of(kind, kinds).execute(work, options)
    except RuntimeError:
        raise  # no catalog's: its text is for the log
    except Exception:
        with catalog_errors(resolve_catalog(settings)):
            raise


def _end(
    ledger: Ledger,
    ctx: Context | None,
    row: OperationRow,
    state: OperationState,
    result: Result | None,
    error: str | None,
) -> None:
    told: dict[str, Any] | None = None if result is None else result.model_dump(mode="json")
    if state is OperationState.DONE:
        ledger.settle_operation(row.id)
    ledger.end_operation(row.id, state, result=told, error=error)
    ended = ledger.operation(row.id)
    if ctx is None or ended is None:
        return
    try:
        end_operation(ctx, _actor(row), operation_of(ended))
    except LifecycleError as failed:
        _LOG.warning("the end of operation %s is not in the audit log: %s", row.id, failed.message)


def _actor(row: OperationRow) -> Actor:
    """Who asked for it; the row of what the installation does itself names no person."""
    return Actor.model_validate({"person": None, **row.actor})


@dataclass(frozen=True)
class LedgerJournal:
    """Notes in the ledger. Only one operation works on a table: all others that have notes on it are dead."""

    ledger: Ledger
    number: int
    table: str
    watch: Watch

    def note(self, kind: str, **facts: Any) -> Note:
        with self.watch.shield():
            made = self.ledger.note_of_operation(self.number, kind, facts)
        return Note(made.id, made.operation, made.kind, made.facts)

    def notes(self, kind: str) -> Sequence[Note]:
        return [Note(one.id, one.operation, one.kind, one.facts) for one in self.ledger.notes_on(self.table, kind)]

    def settle(self, notes: Sequence[Note]) -> None:
        with self.watch.shield():
            self.ledger.settle_notes([one.id for one in notes])


@dataclass(frozen=True)
class Shielded:
    """A publish that no cancellation interrupts: either it is known to have happened, or nothing is left of it."""

    publish: Publish
    watch: Watch

    def __call__(self, table: Table, ref: str, base: int | None, add: AddSnapshotUpdate, snapshot_id: int) -> Table:
        self.watch.check()
        with self.watch.shield():
            return self.publish(table, ref, base, add, snapshot_id)


if __name__ == "__main__":
    main()
