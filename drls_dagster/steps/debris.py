"""Whether what a dead run left in Spark can still write (D13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drls_dagster.engine.session import interrupt

if TYPE_CHECKING:
    from drls_dagster.ledger import RunBranch
    from drls_dagster.settings import Settings


def has_ended(settings: Settings, branch: RunBranch) -> bool:
    """Stops the session that wrote `branch`, and says whether it is certain that it writes no more.

    An engine of another home or machine cannot be asked from here: the home that it belongs to looks at the branch
    again, or it is off the list when it is forgotten.
    """
    if branch.engine_id and not branch.here:
        return branch.is_forgotten
    return interrupt(settings, branch.session_id, branch.engine_id) or branch.is_forgotten
