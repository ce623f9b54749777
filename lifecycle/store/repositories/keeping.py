"""What the store keeps for itself: settings, the outbox, and reading the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from lifecycle.audit.chain import Entry, Head
from lifecycle.domain.model import Frozen
from lifecycle.errors import Conflict
from lifecycle.store.rows import Named, RowCheck, check_rows
from lifecycle.store.tables_people import AuditHeadRow, AuditRow, OutboxRow, SettingRow
from lifecycle.store.tx import Tx, by

_PAGE = 1000
_SETTING = by(SettingRow, "name")


class Setting(Frozen):
    """A named value with a revision for compare-and-set."""

    name: str
    revision: int
    value: dict[str, Any]


class Settings:
    """Values that belong to the store."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def find(self, name: str) -> Setting | None:
        return self._tx.prepared(Setting, _SETTING, name=name)

    def put(self, name: str, value: dict[str, Any], expected: int | None = None) -> Setting:
        """Sets a value; with `expected`, only when its revision is that (0: not set yet)."""
        known = self.find(name)
        revision = known.revision if known else 0
        if expected is not None and expected != revision:
            raise Conflict(f"{name} changed meanwhile (revision {revision}, not {expected}); read it again")
        if known is None:
            self._tx.insert(SettingRow, name=name, revision=1, value=value)
        else:
            self._tx.update(
                update(SettingRow).where(SettingRow.name == name).values(value=value, revision=revision + 1)
            )
        return Setting(name=name, revision=revision + 1, value=value)


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


class AuditLog:
    """Reads the log; only Store.write adds to it."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def head(self) -> Head:
        columns = [column for column in AuditHeadRow.__table__.columns if column.name != "id"]
        found = self._tx.one(Head, select(*columns))
        assert found is not None  # noqa: S101 (made with the store)
        return found

    def entries(self, after: int = 0, limit: int | None = None) -> Iterator[Entry]:
        """Entries in order, from the one after the sequence `after`."""
        left = limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            query = select(*AuditRow.__table__.columns).where(AuditRow.sequence > after)
            page = self._tx.many(Entry, query.order_by(AuditRow.sequence).limit(size))
            yield from page
            if len(page) < size:
                return
            after = page[-1].sequence
            left = None if left is None else left - len(page)

    def check_rows(self, named: Named | None = None) -> RowCheck:
        """Whether every row is as the log left it; `named` took all entries, else all are read here."""
        if named is None:
            named = Named()
            for entry in self.entries():
                named.take(entry)
        return self._tx.look(lambda connection: check_rows(connection, named))

    def subjects(self, verb: str) -> frozenset[str]:
        """Everything that `verb` was ever said of."""
        return frozenset(self._tx.values(select(AuditRow.subject).where(AuditRow.verb == verb)))

    def search(
        self,
        *,
        subject: str | None = None,
        verb: str | None = None,
        who: str | None = None,
        way_in: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> tuple[Entry, ...]:
        """Entries, newest first; `before` (a sequence) pages on.

        A subject that ends with ":" and a verb that ends with "." stand for all that begin so. `since` counts,
        `until` does not.
        """
        query = select(*AuditRow.__table__.columns)
        if subject is not None:
            query = query.where(_is(AuditRow.subject, subject, ":"))
        if verb is not None:
            query = query.where(_is(AuditRow.verb, verb, "."))
        if who is not None:
            query = query.where(AuditRow.actor["name"].as_string() == who)
        if way_in is not None:
            query = query.where(AuditRow.actor["way_in"].as_string() == way_in)
        if since is not None:
            query = query.where(AuditRow.at >= since)
        if until is not None:
            query = query.where(AuditRow.at < until)
        if before is not None:
            query = query.where(AuditRow.sequence < before)
        return self._tx.many(Entry, query.order_by(AuditRow.sequence.desc()).limit(limit))

    def verbs(self) -> tuple[str, ...]:
        """Every verb that the log knows, by name."""
        return tuple(self._tx.values(select(AuditRow.verb).distinct().order_by(AuditRow.verb)))


def _is(column: InstrumentedAttribute[str], value: str, mark: str) -> ColumnElement[bool]:
    return column.startswith(value, autoescape=True) if value.endswith(mark) else column == value
