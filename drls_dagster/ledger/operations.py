"""Operations on tables: one row each, and notes of what they are about to do.

As with runs, the pid says on its own machine whether a process lives, elsewhere its heartbeat. Whoever finds a dead one
marks it as failed first; from then on that process notes nothing, even if it was only cut off.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from drls_dagster.errors import DrlsError
from drls_dagster.ledger.executions import Executions
from drls_dagster.ledger.place import this_worker
from drls_dagster.ledger.tables import OPERATION_NOTES, OPERATIONS
from lifecycle.domain.operations import OperationState

KILLED = "its process was killed; run it again to complete it"
NEVER_STARTED = "its process did not start; run it again"
_START_SECONDS = 60.0
_KEPT = 10_000  # operations that are over
_LIVE = OPERATIONS.c.state.in_((OperationState.QUEUED.value, OperationState.RUNNING.value))


class OperationGone(DrlsError):
    """Others marked this operation as over; its process may do nothing more."""

    status = 409
    code = "taken_for_dead"


@dataclass(frozen=True)
class OperationRow:
    """An operation as the ledger has it; times are seconds since the epoch."""

    id: int
    kind: str
    table_name: str
    ref: str
    options: Mapping[str, Any]
    plan: Mapping[str, Any] | None
    pipeline: str | None
    asked_by: str
    actor: Mapping[str, Any]
    state: OperationState
    progress: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    error: str | None
    at: float
    ended_at: float | None
    cancelling: bool


@dataclass(frozen=True)
class OperationNote:
    """What operation `operation` wrote down before it did it."""

    id: int
    operation: int
    kind: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class NewOperation:
    """An operation that is to be started. `pipeline`: whose permits it needs to publish."""

    kind: str
    table_name: str
    ref: str
    options: Mapping[str, Any]
    plan: Mapping[str, Any] | None
    pipeline: str | None
    asked_by: str
    actor: Mapping[str, Any]


class Operations(Executions):
    """One operation per table at a time: the database itself sees to that."""

    def reserve(self, new: NewOperation) -> OperationRow | None:
        """A new operation, QUEUED; None where another one on the table is live. A process must begin it soon."""
        self.bury_operations(new.table_name)
        row = {
            **vars(new),
            "options": dict(new.options),
            "actor": dict(new.actor),
            "state": OperationState.QUEUED.value,
            "at": time.time(),
            "cancelling": False,
            "host": self._here.host,
            "pid": 0,
            "created": 0.0,
            "until": self._database.now + _START_SECONDS,
        }
        try:
            with self._database.write() as connection:
                self._tidy(connection)
                made = connection.execute(OPERATIONS.insert().values(row)).inserted_primary_key
        except IntegrityError:
            return None
        assert made is not None  # noqa: S101 (both databases answer it)
        return self.operation(made[0])

    def launched_operation(self, number: int, pid: int) -> None:
        """This process of this machine was started for it; it begins once it has loaded what it needs."""
        try:
            created = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return
        where = (OPERATIONS.c.id == number) & (OPERATIONS.c.state == OperationState.QUEUED.value)
        values = {"place": str(self._here), "pid": pid, "created": created, "until": self._fresh}
        with self._database.write() as connection:
            connection.execute(OPERATIONS.update().where(where).values(values))

    def begin_operation(self, number: int) -> OperationRow | None:
        """This process does it from now on; None where it is not QUEUED."""
        values = {**vars(this_worker(self._here)), "until": self._fresh, "state": OperationState.RUNNING.value}
        where = (OPERATIONS.c.id == number) & (OPERATIONS.c.state == OperationState.QUEUED.value)
        with self._database.write() as connection:
            done = connection.execute(OPERATIONS.update().where(where).values(values)).rowcount
        return self.operation(number) if done else None

    def beat_operation(self, number: int) -> bool:
        """Its process lives. Whether somebody asked it to stop, or took it for dead."""
        with self._database.write() as connection:
            connection.execute(OPERATIONS.update().where(_is(number)).values(until=self._fresh))
        return self.is_unwanted(number)

    def is_unwanted(self, number: int) -> bool:
        """Whether somebody asked it to stop, or took it for dead."""
        query = sa.select(OPERATIONS.c.cancelling).where(_is(number))
        with self._database.read() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return found is None or bool(found)

    def show_progress(self, number: int, progress: Mapping[str, Any]) -> None:
        with self._database.write() as connection:
            connection.execute(OPERATIONS.update().where(_is(number)).values(progress=dict(progress)))

    def end_operation(
        self, number: int, state: OperationState, *, result: Mapping[str, Any] | None = None, error: str | None = None
    ) -> None:
        """It is over. One that others marked as failed stays that."""
        values: dict[str, Any] = {"state": state.value, "error": error, "ended_at": time.time()}
        values |= {} if result is None else {"result": dict(result)}
        with self._database.write() as connection:
            connection.execute(OPERATIONS.update().where(_is(number)).values(values))

    def forget_operation(self, number: int) -> None:
        """One that never began: as if nobody had asked for it."""
        where = (OPERATIONS.c.id == number) & (OPERATIONS.c.state == OperationState.QUEUED.value)
        with self._database.write() as connection:
            connection.execute(OPERATIONS.delete().where(where))

    def cancel_operation(self, number: int) -> None:
        """One that no process has is cancelled at once; the others are asked to stop."""
        queued = (OPERATIONS.c.id == number) & (OPERATIONS.c.state == OperationState.QUEUED.value)
        over = {"state": OperationState.CANCELLED.value, "cancelling": True, "ended_at": time.time()}
        with self._database.write() as connection:
            if not connection.execute(OPERATIONS.update().where(queued).values(over)).rowcount:
                connection.execute(OPERATIONS.update().where(_is(number)).values(cancelling=True))

    def operation(self, number: int) -> OperationRow | None:
        """None where no operation has this number."""
        self.bury_operations()
        found = self._rows(OPERATIONS.c.id == number, 1)
        return found[0] if found else None

    def operations(
        self,
        tables: Sequence[str] | None = None,
        states: Sequence[OperationState] = (),
        before: int | None = None,
        limit: int = 100,
    ) -> Sequence[OperationRow]:
        """Newest first, behind `before`; `tables` None: of all."""
        self.bury_operations()
        where = sa.true()
        if tables is not None:
            where &= OPERATIONS.c.table_name.in_(tables)
        if states:
            where &= OPERATIONS.c.state.in_([state.value for state in states])
        if before is not None:
            where &= OPERATIONS.c.id < before
        return self._rows(where, limit)

    def live_operations(self) -> Mapping[tuple[str, str], int]:
        """By kind and state, how many are queued or running."""
        query = sa.select(OPERATIONS.c.kind, OPERATIONS.c.state, sa.func.count()).where(_LIVE)
        with self._database.read() as connection:
            found = connection.execute(query.group_by(OPERATIONS.c.kind, OPERATIONS.c.state)).all()
        return {(kind, state): count for kind, state, count in found}

    def bury_operations(self, table: str | None = None) -> None:
        """Marks live ones as failed whose processes are gone."""
        columns = OPERATIONS.c
        names = ("id", "state", "place", "host", "pid", "created", "until")
        lapsed = (columns.until < self._database.now).label("lapsed")
        query = sa.select(*(columns[name] for name in names), lapsed).where(_LIVE)
        if table is not None:
            query = query.where(columns.table_name == table)
        with self._database.read() as connection:
            found = connection.execute(query).mappings().all()
        for one in found:
            known = one["place"] is not None
            gone = self._here.is_gone(one["place"], one["host"], one["pid"], one["created"]) if known else None
            if gone or (gone is None and one["lapsed"]):
                # Whoever beat or began meanwhile lives.
                same = _is(one["id"]) & (columns.until == one["until"]) & (columns.pid == one["pid"])
                same &= columns.place == one["place"] if known else columns.place.is_(None)
                began = one["state"] == OperationState.RUNNING.value
                over = {
                    "state": OperationState.FAILED.value,
                    "error": KILLED if began else NEVER_STARTED,
                    "ended_at": time.time(),
                }
                with self._database.write() as connection:
                    connection.execute(OPERATIONS.update().where(same).values(over))

    def note_of_operation(self, number: int, kind: str, facts: Mapping[str, Any]) -> OperationNote:
        """Raises OperationGone where others marked it as over."""
        with self._database.write() as connection:
            query = sa.select(OPERATIONS.c.table_name).where(_is(number)).with_for_update()
            table = connection.execute(query).scalar_one_or_none()
            if table is None:
                raise OperationGone(f"operation {number} is over: others took its process for dead")
            row = {"operation": number, "table_name": table, "kind": kind, "facts": dict(facts), "at": time.time()}
            made = connection.execute(OPERATION_NOTES.insert().values(row)).inserted_primary_key
        assert made is not None  # noqa: S101 (both databases answer it)
        return OperationNote(made[0], number, kind, facts)

    def notes_on(self, table: str, kind: str) -> Sequence[OperationNote]:
        """Notes on a table that nobody settled, oldest first."""
        columns = OPERATION_NOTES.c
        query = (
            sa.select(columns.id, columns.operation, columns.kind, columns.facts)
            .where(columns.table_name == table, columns.kind == kind)
            .order_by(columns.id)
        )
        with self._database.read() as connection:
            return [OperationNote(**row) for row in connection.execute(query).mappings()]

    def settle_notes(self, numbers: Sequence[int]) -> None:
        with self._database.write() as connection:
            for first in range(0, len(numbers), 500):
                which = OPERATION_NOTES.c.id.in_(numbers[first : first + 500])
                connection.execute(OPERATION_NOTES.delete().where(which))

    def settle_operation(self, number: int) -> None:
        """It is done: its own notes are settled, and those of others of its kind on the table, which it completed."""
        mine = OPERATIONS.alias()
        same = (
            sa.select(OPERATIONS.c.id)
            .join(mine, (mine.c.table_name == OPERATIONS.c.table_name) & (mine.c.kind == OPERATIONS.c.kind))
            .where(mine.c.id == number)
        )
        with self._database.write() as connection:
            connection.execute(OPERATION_NOTES.delete().where(OPERATION_NOTES.c.operation.in_(same)))

    def _rows(self, where: sa.ColumnElement[bool], limit: int) -> Sequence[OperationRow]:
        names = OperationRow.__dataclass_fields__
        query = (
            sa.select(*(OPERATIONS.c[name] for name in names))
            .where(where)
            .order_by(OPERATIONS.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            OperationRow(**{**row, "state": OperationState(row["state"]), "cancelling": bool(row["cancelling"])})
            for row in rows
        ]

    def _tidy(self, connection: sa.Connection) -> None:
        """The oldest of very many are forgotten, unless a note of theirs is open."""
        newest = connection.execute(sa.select(sa.func.max(OPERATIONS.c.id))).scalar_one()
        if newest is not None and newest > _KEPT:
            noted = sa.select(OPERATION_NOTES.c.operation)
            old = (OPERATIONS.c.id <= newest - _KEPT) & ~_LIVE & OPERATIONS.c.id.not_in(noted)
            connection.execute(OPERATIONS.delete().where(old))

    @property
    def _fresh(self) -> sa.ColumnElement[Any]:
        return self._database.now + self._seconds


def _is(number: int) -> sa.ColumnElement[bool]:
    return (OPERATIONS.c.id == number) & _LIVE
