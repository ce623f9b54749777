"""Note how finished runs ended, as the orchestrator tells it: for people to see, no rule reads it (L14)."""

from __future__ import annotations

from datetime import timedelta

from lifecycle.domain.people import Actor
from lifecycle.usecases.context import Context

ASKED_FOR = timedelta(days=1)
"""So long after the end of a run the orchestrator is asked; one that has forgotten it by then never knew."""

_AT_ONCE = 100


def note_outcomes(ctx: Context, actor: Actor) -> tuple[str, ...]:
    """The runs of which it is known now. Safe to call at any time, by several at once."""
    with ctx.store.read() as view:
        finished = view.runs.without_outcome(view.now - ASKED_FOR, limit=_AT_ONCE)
    told = [(admission, ctx.orchestrator.run_outcome(admission.run_id)) for admission in finished]
    if not any(outcome for _, outcome in told):
        return ()
    noted: list[str] = []
    with ctx.store.write(actor, "note_outcomes") as unit:
        for admission, outcome in told:
            if outcome is not None and unit.runs.set_outcome(admission, outcome):
                unit.audit("admission.outcome", f"run:{admission.run_id}", outcome=outcome.value)
                noted.append(admission.run_id)
    return tuple(noted)
