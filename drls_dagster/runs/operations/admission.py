"""Admission and turn: may this run begin, may it continue (L10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from drls_dagster.runs.admission import admit as admit_part
from drls_dagster.runs.operation import operation
from drls_dagster.runs.refusal import GateRefused, refusal
from lifecycle.domain.gate import Action
from lifecycle.domain.gate import Answer as GateAnswer
from lifecycle.domain.run import Admission
from lifecycle.errors import Conflict, LifecycleError
from lifecycle.usecases.may import may
from lifecycle.usecases.parts.trial_columns import note_trial
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.start_run import Start, finish_run, start_run

if TYPE_CHECKING:
    from drls_dagster.runs.run import Run


@operation(early=True, late=True)
def admit(run: Run, parameters: dict[str, Any]) -> Admission | None:
    """The run's admission; admitted before, that one. None for a draft. Raises GateRefused with the reason."""
    return admit_part(
        run.settings,
        run.part,
        run.run_id,
        run_key=run.run_key,
        parameters=parameters,
        launched_by=run.actor("gate") if run.bound.person is not None else None,
        ctx=run.ctx,
    )


@operation(late=True)
def start(run: Run) -> Start:
    """Begins the run, or says which run goes first. Raises Conflict when it should be asked again, GateRefused when it
    was revoked.
    """
    try:
        return start_run(run.lifecycle, run.actor("gate"), run.run_id, run.name)
    except Conflict:
        raise
    except LifecycleError as error:
        raise GateRefused(refusal(run.settings, run.name, run.environment, error.message)) from None


@operation()
def look_for_dead_runs(run: Run) -> None:
    """The run that goes first may have died without saying so."""
    reconcile(run.lifecycle, run.actor("gate"), files=False)


@operation(early=True, late=True)
def ask_again(run: Run) -> GateAnswer:
    """Whether the run may continue, asked before each step."""
    return may(run.lifecycle, run.name, run.part.digest, run.environment, Action.RUN, run_id=run.run_id)


@operation()
def gave_up(run: Run, owner: str, table: str) -> bool:
    """Whether the lifecycle knows the pipeline `owner`, and no active version of it still writes `table` (D11)."""
    return run.gave_up(owner, table)


@operation()
def tries(run: Run, table: str, added: Sequence[str], columns: Sequence[str]) -> None:
    """Notes the columns that the run is about to add to a real table (D10)."""
    run.require_sink(table)
    note_trial(run.lifecycle, run.actor("step"), run.run_id, run.name, table, added=added, columns=columns)


@operation(late=True)
def finish(run: Run) -> None:
    """The run is over; the next of this pipeline may begin."""
    finish_run(run.lifecycle, run.actor("step"), run.run_id, run.name)
