"""Note how finished runs ended, as the orchestrator tells it: for people; a rule reads it only to refuse (L14)."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta

from lifecycle.domain.people import Actor
from lifecycle.domain.run import Admission, Outcome
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.rounds import Round

ASKED_FOR = timedelta(days=1)
"""So long after the end of a run the orchestrator is asked; one that has forgotten it by then never knew."""

_AT_ONCE = 100


def note_outcomes(ctx: Context, actor: Actor, *, work: Round | None = None) -> tuple[str, ...]:
    """The runs of which it is known now. Safe to call at any time, by several at once.

    With `work`, a run that cannot be asked about is kept there, and the others are noted all the same.
    """
    with ctx.store.read() as view:
        finished = view.runs.without_outcome(view.now - ASKED_FOR, limit=_AT_ONCE)
    told: list[tuple[Admission, Outcome | None]] = []
    for admission in finished:
        with work.item(f"run:{admission.run_id}", "asking how it ended") if work else nullcontext():
            told.append((admission, ctx.orchestrator.run_outcome(admission.run_id)))
    if not any(outcome for _, outcome in told):
        return ()
    noted: list[str] = []
    with ctx.store.write(actor, "note_outcomes") as unit:
        for admission, outcome in told:
            if outcome is not None and unit.runs.set_outcome(admission, outcome):
                unit.audit("admission.outcome", f"run:{admission.run_id}", outcome=outcome.value)
                noted.append(admission.run_id)
    return tuple(noted)
