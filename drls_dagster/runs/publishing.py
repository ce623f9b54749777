"""Publish what a run has written: permit, compare-and-set, receipt and record, all on the platform's side (L11).

A run that dies on the way leaves no publish without a receipt, and no run moves a ref itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.catalog import catalog_errors
from drls_dagster.lakehouse.catalog_config import resolve_catalog
from drls_dagster.lakehouse.commit_retry import CommitConflictError
from drls_dagster.lakehouse.locating import TableLook, look_at
from drls_dagster.lakehouse.rebuild import published_as
from drls_dagster.lakehouse.reread import Reread, note_reread
from drls_dagster.ledger import PublishRecord
from drls_dagster.runs.refusal import GateRefused, refusal
from drls_dagster.runs.run_tables import state_of
from drls_dagster.runs.table_words import Candidate, TableState
from drls_dagster.traces.spans import span
from lifecycle.domain.run import Permit
from lifecycle.errors import Conflict, Forbidden, LifecycleError
from lifecycle.usecases.grant_permit import Publish, grant_permit, record_receipt, release_permit
from lifecycle.usecases.settle_permits import settle_permits

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from drls_dagster.runs.run import Run


def publish_candidate(run: Run, candidate: Candidate) -> TableState:
    """The table after the publish; published before by the same run and step, as it is now.

    A draft in development needs no permit. Raises RefMoved, Conflict, GateRefused or Forbidden: nothing is published
    then.
    """
    about = {"table": candidate.table, "snapshot": str(candidate.snapshot), "node": candidate.step}
    permit = None
    if run.admission is not None:
        with span(run.settings, "permit", about):
            permit = _permit(run, candidate)
    try:
        with span(run.settings, "compare and set", {**about, "rows": candidate.work.rows or 0}):
            look, table = _move(run, candidate)
    except (refs.RefMoved, CommitConflictError, Forbidden):
        if permit is not None:
            release_permit(run.lifecycle, run.actor("step"), permit.id)
        raise
    if permit is not None:
        with span(run.settings, "receipt", about):
            record_receipt(run.lifecycle, run.actor("step"), permit.id)
    run.ledger.close_branch(look.location.name, candidate.branch)
    run.ledger.record_publish(
        PublishRecord(
            table_uuid=str(table.metadata.table_uuid),
            ref=look.location.ref,
            snapshot_id=candidate.snapshot,
            run_key=run.run_key,
            step=candidate.step,
            partitions=candidate.partition,
            positions=dict(candidate.work.positions),
        )
    )
    return state_of(table)


def _permit(run: Run, candidate: Candidate) -> Permit | None:
    """Leave for the compare-and-set; None where this very publish has its receipt, and only its answer was lost."""
    admission = run.admitted
    asked = Publish(
        run_id=run.run_id,
        pipeline=run.name,
        step=candidate.step,
        partition=candidate.partition,
        table=candidate.table,
        ref=admission.environment.ref,
        base=candidate.base,
        candidate=candidate.snapshot,
        work=candidate.work,
    )
    try:
        leave = grant_permit(run.lifecycle, run.actor("step"), asked)
    except Conflict:
        # Whoever goes first may have died with its lease.
        settle_permits(run.lifecycle, run.actor("step"), admission.pipeline_id, admission.environment)
        raise
    except LifecycleError as error:
        raise GateRefused(refusal(run.settings, run.name, admission.environment, error.message)) from None
    if leave.receipt is not None and not _is_on_ref(run, candidate, leave.receipt.snapshot):
        raise GateRefused(
            f"sink '{candidate.step}' has already published {candidate.table} in this run, and that snapshot is no "
            "longer on the branch; launch a new run"
        )
    return leave.permit


def _is_on_ref(run: Run, candidate: Candidate, published: int) -> bool:
    with catalog_errors(resolve_catalog(run.settings)):
        look = look_at(run.catalog, run.environment, candidate.table)
    return published == candidate.snapshot and _is_done(look, candidate)


def _move(run: Run, candidate: Candidate) -> tuple[TableLook, Table]:
    """The compare-and-set, from the last look at the table; and that look."""
    with catalog_errors(resolve_catalog(run.settings)):
        look = look_at(run.catalog, run.environment, candidate.table)
        location, table = look.location, look.table
        note_reread(location.identifier, Reread.SWAP)
        if table is None or str(table.metadata.table_uuid) != candidate.work.table_uuid:
            raise refs.RefMoved(f"'{location.ref}' of {location.name} moved in the meantime: it is another table")
        if _is_done(look, candidate):
            return look, table
        run.tables.policy.may_publish(table, location, candidate.branch)
        if candidate.base is not None and candidate.base not in refs.ancestor_ids(table, candidate.snapshot):
            raise Forbidden(f"snapshot {candidate.snapshot} of {location.name} does not follow {candidate.base}")
        also = None if candidate.rebuilt_as is None else published_as(candidate.rebuilt_as)
        moved = refs.publish(
            run.catalog, table, location.ref, candidate.base, candidate.snapshot, candidate.branch, also, newest=True
        )
        return look, moved


def _is_done(look: TableLook, candidate: Candidate) -> bool:
    """Whether this very publish was made before: its branch went with it."""
    table = look.table
    if table is None or candidate.branch in table.metadata.refs:
        return False
    return candidate.snapshot in refs.ancestor_ids(table, look.own)
