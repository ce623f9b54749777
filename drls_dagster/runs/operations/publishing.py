"""Permits and receipts (L11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from drls_dagster.runs.operation import operation
from drls_dagster.runs.refusal import GateRefused, refusal
from lifecycle.domain.run import PermitState, Receipt, Work
from lifecycle.errors import Conflict, LifecycleError
from lifecycle.spec import canonical_json
from lifecycle.usecases.grant_permit import Leave, Publish, grant_permit, record_receipt, release_permit
from lifecycle.usecases.settle_permits import settle_permits

if TYPE_CHECKING:
    from drls_dagster.runs.run import Run


@operation()
def written(run: Run, table: str, base: int | None, candidate: int) -> None:
    """`candidate` is written, to be published over `base` if its checks pass: its files can be sealed (L17)."""
    run.require_sink(table)
    run.lifecycle.plane.begin_sealing(table, run.admitted.environment, base, candidate)


@operation()
def permit(run: Run, step: str, partition: str, table: str, base: int | None, candidate: int, work: Work) -> Leave:
    """Leave for one compare-and-set, or the receipt of this very step's earlier publish.

    Raises Conflict when the run must wait, GateRefused when it may not, or no longer, publish.
    """
    admission = run.admitted
    asked = Publish(
        run_id=run.run_id,
        pipeline=run.name,
        step=step,
        partition=partition,
        table=table,
        ref=admission.environment.ref,
        base=base,
        candidate=candidate,
        work=work,
    )
    try:
        return grant_permit(run.lifecycle, run.actor("step"), asked)
    except Conflict:
        # Whoever goes first may have died with its lease.
        settle_permits(run.lifecycle, run.actor("step"), admission.pipeline_id, admission.environment)
        raise
    except LifecycleError as error:
        raise GateRefused(refusal(run.settings, run.name, admission.environment, error.message)) from None


@operation(late=True)
def release(run: Run, permit_id: int) -> None:
    """Gives an unused permit back, after the compare-and-set was refused."""
    if run.permit(permit_id).state is not PermitState.VOID:
        release_permit(run.lifecycle, run.actor("step"), permit_id)


@operation(late=True)
def receipt(run: Run, permit_id: int) -> Receipt:
    """The receipt of a used permit."""
    run.permit(permit_id)
    return record_receipt(run.lifecycle, run.actor("step"), permit_id)


@operation(late=True)
def confirm(run: Run, step: str, partition: str, table: str, candidate: int) -> None:
    """The receipt of a publish that an earlier try of this run made and did not live to note (D7).

    Raises GateRefused where nobody has given leave for it.
    """
    admission = run.admitted
    with run.lifecycle.store.read() as view:
        known = view.runs.receipt_for(admission.root_run_id, admission.pipeline_id, step, partition)
        live = view.runs.live_permits(admission.pipeline_id, admission.environment)
    if known is not None:
        return
    own = [one for one in live if (one.table_name, one.candidate) == (table, candidate)]
    if not own:
        raise GateRefused(f"snapshot {candidate} of {table} was published without a permit; see `drls drift list`")
    record_receipt(run.lifecycle, run.actor("step"), own[0].id)


@operation()
def fingerprints(run: Run) -> Mapping[str, str]:
    """What tells the sources of this environment apart from those of another, by node."""
    spec = run.spec
    if spec is None:
        return {}
    return run.lifecycle.plane.fingerprints(canonical_json(spec).decode(), run.environment)
