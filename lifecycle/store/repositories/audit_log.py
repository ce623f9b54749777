"""Reading the audit log."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from lifecycle.audit.chain import Entry, Head
from lifecycle.store.rows import Named, RowCheck, check_rows
from lifecycle.store.tables_people import AuditHeadRow, AuditRow
from lifecycle.store.tx import Tx

_PAGE = 1000


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
            query = query.where(
                or_(AuditRow.actor["name"].as_string() == who, AuditRow.actor["acts_for"].as_string() == who)
            )
        if way_in is not None:
            query = query.where(AuditRow.actor["way_in"].as_string() == way_in)
        if since is not None:
            query = query.where(AuditRow.at >= since)
        if until is not None:
            query = query.where(AuditRow.at < until)
        if before is not None:
            query = query.where(AuditRow.sequence < before)
        return self._tx.many(Entry, query.order_by(AuditRow.sequence.desc()).limit(limit))

    def told(
        self, verbs: Collection[str], *, subjects: Collection[str] | None, before: int | None, limit: int
    ) -> tuple[Entry, ...]:
        """Entries with one of these verbs, newest first; with `subjects` only about one of them."""
        if subjects is None:
            return self._told(tuple(verbs), None, before, limit)
        # Of one pipeline or a few: short.
        wanted = tuple(verbs), tuple(subjects), before, limit
        return self._tx.once(("told", *wanted), lambda: self._told(*wanted), rows=limit)

    def _told(
        self, verbs: Collection[str], subjects: Collection[str] | None, before: int | None, limit: int
    ) -> tuple[Entry, ...]:
        columns = [column for column in AuditRow.__table__.columns if column.name != "rows"]
        query = select(*columns).where(AuditRow.verb.in_(list(verbs)))
        if subjects is not None:
            query = query.where(AuditRow.subject.in_(list(subjects)))
        if before is not None:
            query = query.where(AuditRow.sequence < before)
        return self._tx.many(Entry, query.order_by(AuditRow.sequence.desc()).limit(limit))

    def verbs(self) -> tuple[str, ...]:
        """Every verb that the log knows, by name."""
        return tuple(self._tx.values(select(AuditRow.verb).distinct().order_by(AuditRow.verb)))


def _is(column: InstrumentedAttribute[str], value: str, mark: str) -> ColumnElement[bool]:
    return column.startswith(value, autoescape=True) if value.endswith(mark) else column == value
