"""The list of run branches, so that no crash leaves one that nobody knows of (D13)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa

from drls_dagster.ledger.executions import Execution, Executions
from drls_dagster.ledger.place import Place, Worker, this_worker
from drls_dagster.ledger.tables import BRANCHES, EXECUTIONS

FAILED_CHECK_DAYS = 7


@dataclass(frozen=True)
class RunBranch:
    """A branch some run writes, or wrote, to. `execution` is None for one that DRLS 0.1.0 noted.

    `dead`: its run is no longer being executed. `here`: it ran in this home and on this machine, as did its engine.
    """

    table: str
    branch: str
    run_key: str
    run_id: str
    session_id: str
    engine_id: str
    host: str
    state: str
    at: float
    execution: str | None
    dead: bool
    here: bool

    @property
    def is_debris(self) -> bool:
        """Nobody will come back for it: its process is gone, or its inspection time is over (D13)."""
        return self.is_forgotten if self.state == "failed_check" else self.dead

    @property
    def is_forgotten(self) -> bool:
        """So old that nobody inspects it, and that no Spark server still has the session of its client."""
        return time.time() - self.at > FAILED_CHECK_DAYS * 86_400


class Branches(Executions):
    def open_branch(
        self, table: str, branch: str, run_key: str, session_id: str, engine_id: str, *, run_id: str | None = None
    ) -> None:
        """Note a branch before it is made. `run_id` is left out for a run from the start: it is its own key.

        Raises RunTakenForDead where others have gone on without this process.
        """
        execution = self.execute(run_id or run_key, run_key)
        worker = this_worker(self._here)
        self.open_branch_for(execution, worker, table, branch, run_key, session_id, engine_id)

    def open_branch_for(
        self,
        execution: str,
        worker: Worker,
        table: str,
        branch: str,
        run_key: str,
        session_id: str,
        engine_id: str,
    ) -> None:
        """The same for another process's execution. Safe to repeat."""
        row = {
            "table_name": table,
            "branch": branch,
            "run_key": run_key,
            "session_id": session_id,
            "engine_id": engine_id,
            "host": worker.host,
            "pid": worker.pid,
            "created": worker.created,
            "state": "open",
            "at": time.time(),
            "execution": execution,
        }
        with self._database.write() as connection:
            self._require(connection, execution)
            connection.execute(self._database.insert_new(BRANCHES, row))

    def keep_branch(self, table: str, branch: str, *, now: float | None = None) -> None:
        """A check failed: the branch stays for inspection."""
        values = {"state": "failed_check", "at": time.time() if now is None else now}
        with self._database.write() as connection:
            connection.execute(BRANCHES.update().where(_named(table, branch)).values(values))

    def close_branch(self, table: str, branch: str) -> None:
        """The branch is gone."""
        with self._database.write() as connection:
            connection.execute(BRANCHES.delete().where(_named(table, branch)))

    def branches(self, table: str | None = None, seen_from: Place | None = None) -> list[RunBranch]:
        """All of them, or those of one table; `seen_from` is where `here` is, if not this process's place."""
        query = sa.select(BRANCHES)
        if table is not None:
            query = query.where(BRANCHES.c.table_name == table)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
            names = {row["execution"] for row in rows if row["execution"] is not None}
            known = {one.execution: one for one in self._executions(connection, EXECUTIONS.c.execution.in_(names))}
        return [self._branch(row, known.get(row["execution"]), seen_from or self._here) for row in rows]

    def debris(self, table: str | None = None, seen_from: Place | None = None) -> list[RunBranch]:
        """The branches for which nobody comes back. Their processes have been declared dead: none publishes one now."""
        for one in self.branches(table):
            if one.state == "open" and one.dead:
                self.life(one.run_id)
        # Looked up again: a process may have opened another one before it was declared dead.
        return [one for one in self.branches(table, seen_from) if one.is_debris]

    def _branch(self, row: sa.RowMapping, by: Execution | None, seen_from: Place) -> RunBranch:
        place = by.place if by is not None else None
        own = Execution("", "", None, row["host"], row["pid"], row["created"], None, lapsed=False)
        return RunBranch(
            table=row["table_name"],
            branch=row["branch"],
            run_key=row["run_key"],
            run_id=by.run_id if by is not None else row["run_key"],
            session_id=row["session_id"],
            engine_id=row["engine_id"],
            host=row["host"],
            state=row["state"],
            at=row["at"],
            execution=row["execution"],
            dead=(by or own).is_dead(self._here),
            here=seen_from.is_mine(place, row["host"]),
        )


def _named(table: str, branch: str) -> sa.ColumnElement[bool]:
    return (BRANCHES.c.table_name == table) & (BRANCHES.c.branch == branch)
