"""The outbox: notifications, and what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from lifecycle.domain.model import Frozen
from lifecycle.store.tables_people import OutboxRow
from lifecycle.store.tx import Tx


class Pending(Frozen):
    """A notification that waits for delivery."""

    id: int
    event: str
    receiver: str
    body: dict[str, Any]
    state: str
    attempts: int
    next_at: datetime
    last_error: str
    created_at: datetime


class Outbox:
    """Notifications, written with the change that they tell about."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def add(self, event: str, receiver: str, body: dict[str, Any]) -> None:
        self._tx.insert(
            OutboxRow,
            event=event,
            receiver=receiver,
            body=body,
            state="pending",
            attempts=0,
            next_at=self._tx.now,
            last_error="",
            created_at=self._tx.now,
        )

    def due(self, limit: int = 50) -> tuple[Pending, ...]:
        """What should be tried now, oldest first."""
        query = select(*OutboxRow.__table__.columns).where(
            OutboxRow.state == "pending", OutboxRow.next_at <= self._tx.now
        )
        return self._tx.many(Pending, query.order_by(OutboxRow.next_at, OutboxRow.id).limit(limit))

    def settle(self, pending: Pending, *, state: str, next_at: datetime, error: str) -> bool:
        """Notes a try; False when somebody else noted one first."""
        statement = (
            update(OutboxRow)
            .where(OutboxRow.id == pending.id, OutboxRow.attempts == pending.attempts)
            .values(state=state, attempts=pending.attempts + 1, next_at=next_at, last_error=error)
        )
        return self._tx.update(statement) == 1

    def counts(self) -> list[tuple[str, str, int]]:
        """How many messages there are by receiver and state."""
        query = select(OutboxRow.receiver, OutboxRow.state, func.count()).group_by(OutboxRow.receiver, OutboxRow.state)
        return [(receiver, state, number) for receiver, state, number in self._tx.tuples(query)]

    def undelivered(self, limit: int = 50) -> tuple[Pending, ...]:
        """What waits, fails or was given up, newest first."""
        query = select(*OutboxRow.__table__.columns).where(OutboxRow.state.in_(("pending", "given_up")))
        return self._tx.many(Pending, query.order_by(OutboxRow.id.desc()).limit(limit))
