"""Publishing, and its receipts (L11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from drls_dagster.runs.operation import operation
from drls_dagster.runs.refusal import GateRefused
from drls_dagster.runs.table_words import Candidate, TableState
from lifecycle.spec import canonical_json
from lifecycle.usecases.grant_permit import record_receipt

if TYPE_CHECKING:
    from drls_dagster.runs.run import Run


@operation()
def written(run: Run, table: str, base: int | None, candidate: int) -> None:
    """`candidate` is written, to be published over `base` if its checks pass: its files can be sealed (L17)."""
    run.require_sink(table)
    run.lifecycle.plane.begin_sealing(table, run.admitted.environment, base, candidate)


@operation()
def publish(run: Run, execution: str, candidate: Candidate) -> TableState:
    """Moves the environment's ref to what the run has written and checked: permit, compare-and-set, receipt.

    Raises RefMoved when the ref is not where the run began, Conflict when the run must wait, GateRefused when it may
    not, or no longer, publish, Forbidden for what is not its own, and RunTakenForDead.
    """
    from drls_dagster.runs.publishing import publish_candidate

    run.require_execution(execution)
    run.ledger.require(execution)
    return publish_candidate(run, candidate)


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
