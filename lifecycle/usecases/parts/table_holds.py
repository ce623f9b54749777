"""Freezes and stops that concern a table (L9)."""

from __future__ import annotations

from lifecycle.domain.environment import Environment
from lifecycle.domain.operations import OperationAt
from lifecycle.domain.policy import Hold, HoldKind
from lifecycle.errors import Refused
from lifecycle.store.unit import View
from lifecycle.usecases.parts.table_users import table_users
from lifecycle.usecases.parts.visible_tables import environment_of, real_name


def holds_on(view: View, at: OperationAt) -> tuple[Hold, ...]:
    """Those of the table's environment, and those there of a pipeline that writes it.

    A real table is production's. At the branch of QA or UAT it is theirs as well: its files belong to all.
    """
    environments = {environment_of(at.table)}
    if real_name(at.table) == at.table:
        environments |= {one for one in (Environment.QA, Environment.UAT) if one.ref == at.ref}
    holds = [one for one in view.policies.holds() if one.environment in environments]
    if not holds:
        return ()
    writers = {one.pipeline_id for one in table_users(view, at.table) if one.writes}
    return tuple(one for one in holds if one.pipeline_id is None or one.pipeline_id in writers)


def require_not_held(view: View, at: OperationAt, *kinds: HoldKind) -> None:
    """Raises Refused while a hold of one of these kinds concerns the table."""
    found = next((one for one in holds_on(view, at) if one.kind in kinds), None)
    if found is not None:
        raise Refused(hold_in_words(view, found))


def hold_in_words(view: View, hold: Hold) -> str:
    """What is held, why, and who can change it."""
    whose = "" if hold.pipeline_id is None else f"{view.pipelines.get(hold.pipeline_id).name} in "
    state = "frozen" if hold.kind is HoldKind.FREEZE else "stopped"
    return (
        f"{whose}{hold.environment.label} is {state} ({hold.reason}); a LeadDataEngineer can lift the {hold.kind.value}"
    )
