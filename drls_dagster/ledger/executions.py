"""Who executes a run, and whether they still live.

On the machine and in the home of a process its pid is the answer. Everywhere else its heartbeat is: it says by the
database's clock until when nobody may take the process for dead. Or the orchestrator says that the run is over. Whoever
acts on a death declares it first, in the row of the process: from then on that process opens no branch and publishes
nothing, even if it was only cut off.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from drls_dagster.errors import DrlsError
from drls_dagster.ledger.database import Database, Topic
from drls_dagster.ledger.heartbeat import Heartbeat
from drls_dagster.ledger.place import Place, Worker, this_worker
from drls_dagster.ledger.tables import EXECUTIONS
from drls_dagster.settings import LedgerSettings

_QUEUE = "queue"
_QUEUED_SECONDS = 300.0  # several rounds of the reconcile sensor, which vouches again in each


class RunTakenForDead(DrlsError):
    """This process was cut off and others continued without it."""

    status = 409
    code = "taken_for_dead"


class Life(StrEnum):
    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Execution:
    """One process's work on one run, as far as others can see it."""

    execution: str
    run_id: str
    place: str | None
    host: str
    pid: int
    created: float
    dead: float | None
    lapsed: bool

    def is_dead(self, here: Place) -> bool:
        if self.dead is not None:
            return True
        gone = here.is_gone(self.place, self.host, self.pid, self.created)
        return self.lapsed if gone is None else gone


class Executions(Topic):
    def __init__(self, database: Database, here: Place, settings: LedgerSettings) -> None:
        super().__init__(database)
        self._here = here
        self._seconds = settings.dead_seconds
        self._mine: dict[str, str] = {}
        self._starting = threading.Lock()
        self._heart = Heartbeat(self._beat, settings.heartbeat_seconds)

    def execute(self, run_id: str, run_key: str) -> str:
        """This process executes the run; the name of that. Its heartbeat starts with the first one.

        A run that resumes another one takes its place: what still executes that one no longer publishes anything.
        """
        with self._starting:
            if run_id not in self._mine:
                name = uuid.uuid4().hex
                self.begin(name, run_id, run_key, this_worker(self._here))
                self._mine[run_id] = name
        self._heart.start()
        return self._mine[run_id]

    def leave(self, run_id: str) -> None:
        """The run is over in this process, which no longer sends a heartbeat for it."""
        self._mine.pop(run_id, None)

    def begin(self, name: str, run_id: str, run_key: str, worker: Worker) -> None:
        """Notes that `worker` executes the run, under a name that it chose. Safe to repeat.

        Whoever begins one for another process passes on its heartbeats with `beat`.
        """
        row = {
            "execution": name,
            "run_id": run_id,
            "run_key": run_key,
            **vars(worker),
            "until": self._database.now + self._seconds,
        }
        columns = EXECUTIONS.c
        with self._database.write() as connection:
            connection.execute(EXECUTIONS.delete().where(columns.execution == _queued(run_id)))
            if run_key != run_id:
                self._declare(connection, (columns.run_key == run_key) & (columns.run_id != run_id))
            connection.execute(self._database.insert_new(EXECUTIONS, row))

    def vouch(self, run_id: str) -> None:
        """The orchestrator of this home has the run in its queue, where no process executes it yet.

        Others, whose orchestrator does not know it, believe that for some minutes.
        """
        name = _queued(run_id)
        if any(one.execution != name for one in self._of_run(run_id)):
            return
        row = {
            "execution": name,
            "run_id": run_id,
            "run_key": run_id,
            "place": _QUEUE,
            "host": self._here.host,
            "pid": 0,
            "created": 0.0,
            "until": self._database.now + _QUEUED_SECONDS,
        }
        with self._database.write() as connection:
            connection.execute(self._database.upsert(EXECUTIONS, row))

    def life(self, run_id: str) -> Life:
        """What is known of a run. One that is DEAD has been declared so: it no longer publishes anything."""
        return self._judge(self._of_run(run_id))

    def is_dead(self, run_id: str) -> bool:
        """Whether a process began to execute the run and none does now; it has then been declared dead."""
        return self._judge([one for one in self._of_run(run_id) if one.place != _QUEUE]) is Life.DEAD

    def declare_dead(self, run_id: str) -> None:
        """The orchestrator says that the run is over: whatever still executes it no longer publishes anything."""
        if any(one.dead is None for one in self._of_run(run_id)):
            with self._database.write() as connection:
                self._declare(connection, EXECUTIONS.c.run_id == run_id)

    def require_alive(self, run_id: str) -> None:
        """Raises RunTakenForDead where others have gone on without this process."""
        name = self._mine.get(run_id)
        if name is not None:
            self.require(name)

    def require(self, name: str) -> None:
        """The same for an execution by its name."""
        with self._database.read() as connection:
            self._require(connection, name)

    def _require(self, connection: sa.Connection, name: str) -> None:
        query = sa.select(EXECUTIONS.c.run_id, EXECUTIONS.c.dead).where(EXECUTIONS.c.execution == name)
        # Locked until the transaction ends: who declares it dead meanwhile sees what it has noted.
        row = connection.execute(query.with_for_update()).one()
        if row.dead is not None:
            raise RunTakenForDead(
                f"run {row.run_id} was declared dead: it was resumed elsewhere, ended in Dagster, or sent no heartbeat "
                f"for {self._seconds:g} s; nothing more of it is published, re-execute it from failure"
            )

    def _judge(self, found: list[Execution]) -> Life:
        if not found:
            return Life.UNKNOWN
        dead = [self._bury(one) for one in found]  # all of them, so that each one that is dead is declared
        return Life.DEAD if all(dead) else Life.ALIVE

    def _bury(self, one: Execution) -> bool:
        """Declares a dead one dead; False for one that lives, or sends a heartbeat again."""
        if one.dead is not None or not one.is_dead(self._here):
            return one.dead is not None
        mine = self._here.is_mine(one.place, one.host)
        lapsed = sa.true() if mine else EXECUTIONS.c.until < self._database.now
        with self._database.write() as connection:
            self._declare(connection, (EXECUTIONS.c.execution == one.execution) & lapsed)
            query = sa.select(EXECUTIONS.c.dead).where(EXECUTIONS.c.execution == one.execution)
            return connection.execute(query).scalar_one_or_none() is not None

    def _declare(self, connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
        where = which & EXECUTIONS.c.dead.is_(None)
        connection.execute(EXECUTIONS.update().where(where).values(dead=self._database.now))

    def _of_run(self, run_id: str) -> list[Execution]:
        with self._database.read() as connection:
            return self._executions(connection, EXECUTIONS.c.run_id == run_id)

    def _executions(self, connection: sa.Connection, which: sa.ColumnElement[bool]) -> list[Execution]:
        lapsed = sa.func.coalesce(EXECUTIONS.c.until < self._database.now, sa.false()).label("lapsed")
        names = ("execution", "run_id", "place", "host", "pid", "created", "dead")
        query = sa.select(*(EXECUTIONS.c[name] for name in names), lapsed).where(which)
        return [_execution(dict(row)) for row in connection.execute(query).mappings()]

    def run_of(self, name: str) -> str | None:
        """The run that an execution is of; None for one that nobody began."""
        query = sa.select(EXECUTIONS.c.run_id).where(EXECUTIONS.c.execution == name)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def _beat(self) -> None:
        self.beat(list(self._mine.values()))

    def beat(self, names: Sequence[str]) -> None:
        """Whoever executes these lives. A promise is never shortened: setting a clock back does nothing."""
        until, fresh = EXECUTIONS.c.until, self._database.now + self._seconds
        where = EXECUTIONS.c.execution.in_(names) & EXECUTIONS.c.dead.is_(None)
        with self._database.write() as connection:
            connection.execute(
                EXECUTIONS.update().where(where).values(until=sa.case((until > fresh, until), else_=fresh))
            )


def _execution(row: dict[str, Any]) -> Execution:
    return Execution(**{**row, "lapsed": bool(row["lapsed"])})


def _queued(run_id: str) -> str:
    return f"{_QUEUE}:{run_id}"
