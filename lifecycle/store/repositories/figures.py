"""The lifecycle in numbers, for monitoring: few statements, and none reads what grows with the years.

No number names a pipeline, a table or a person.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import case, func, select

from lifecycle.domain.promotion import State
from lifecycle.domain.run import UNSETTLED
from lifecycle.store.tables import AdmissionRow, DriftRow, HoldRow, PromotionRow
from lifecycle.store.tables_people import AuditRow, OutboxRow
from lifecycle.store.tx import Tx

UNFINISHED = [state.value for state in State if not state.is_terminal]


class Waiting(NamedTuple):
    """Requests of one state into one environment. `due`: the next tick executes them, unless something holds them."""

    state: str
    environment: str
    number: int
    oldest: datetime
    due: int
    due_since: datetime | None


class LiveRuns(NamedTuple):
    """Runs of one state in one environment."""

    environment: str
    state: str
    number: int
    oldest: datetime


class Figures:
    """Read only."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def requests(self) -> list[Waiting]:
        """What is not over."""
        now = self._tx.now
        row = PromotionRow
        free = row.lease_until.is_(None) | (row.lease_until <= now)
        due = (
            ((row.state == State.APPROVED.value) & (row.expires_at > now))
            | (row.state == State.FAILED.value)
            | ((row.state == State.EXECUTING.value) & free)
        )
        query = select(
            row.state,
            row.target,
            func.count(),
            func.min(row.requested_at),
            func.sum(case((due, 1), else_=0)),
            func.min(case((due, func.coalesce(row.approved_at, row.requested_at)))),
        )
        found = self._tx.tuples(query.where(row.state.in_(UNFINISHED)).group_by(row.state, row.target))
        return [Waiting(*one) for one in found]

    def live_runs(self) -> list[LiveRuns]:
        """Runs that are queued or running. The index of runs without an outcome has them all."""
        row = AdmissionRow
        query = select(row.environment, row.state, func.count(), func.min(row.admitted_at))
        live = query.where(row.outcome.is_(None), row.ended_at.is_(None)).group_by(row.environment, row.state)
        return [LiveRuns(*one) for one in self._tx.tuples(live)]

    def events(self, after: int, until: int) -> dict[str, int]:
        """By verb, how many entries the audit log got after one sequence and until another."""
        entry = AuditRow
        between = (entry.sequence > after) & (entry.sequence <= until)
        query = select(entry.verb, func.count()).where(between).group_by(entry.verb)
        return {row[0]: row[1] for row in self._tx.tuples(query)}

    def outcomes(self, after: int, until: int) -> dict[tuple[str, str], int]:
        """By environment and outcome, how many runs ended, of whose end the log heard between the two."""
        row, run = AuditRow, AdmissionRow
        query = (
            select(run.environment, run.outcome, func.count())
            .select_from(row)
            .join(run, run.run_id == func.substr(row.subject, len("run:") + 1))
            .where(
                row.verb == "admission.outcome",
                row.sequence > after,
                row.sequence <= until,
                run.outcome.is_not(None),
            )
            .group_by(run.environment, run.outcome)
        )
        return {(environment, outcome): count for environment, outcome, count in self._tx.tuples(query)}

    def drifts(self) -> dict[str, int]:
        """By environment, how many tables differ from what was published."""
        row = DriftRow
        query = select(row.environment, func.count()).where(row.state.in_(UNSETTLED)).group_by(row.environment)
        return {one[0]: one[1] for one in self._tx.tuples(query)}

    def holds(self) -> dict[tuple[str, str], int]:
        """By kind and environment, how many freezes and stops hold."""
        row = HoldRow
        query = select(row.kind, row.environment, func.count()).where(row.lifted_at.is_(None))
        found = self._tx.tuples(query.group_by(row.kind, row.environment))
        return {(kind, environment): count for kind, environment, count in found}

    def undelivered(self) -> tuple[int, datetime | None]:
        """How many notifications wait to be sent, and since when the oldest one does."""
        row = OutboxRow
        query = select(func.count(), func.min(row.created_at)).where(row.state == "pending")
        ((count, oldest),) = self._tx.tuples(query)
        return count, oldest
