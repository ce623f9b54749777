"""What people ask about a run."""

from __future__ import annotations

from lifecycle.domain.explanation import Explanation
from lifecycle.usecases.explain_run import explain_run
from lifecycle.verbs.inputs import RunId
from lifecycle.verbs.verb import Call, answers


@answers(Explanation)
def explain(call: Call, run_id: RunId) -> Explanation:
    """Why a run failed, was refused or cancelled: error, first bad rows, what changed since the last good run."""
    return explain_run(call.ctx, call.who, run_id)
