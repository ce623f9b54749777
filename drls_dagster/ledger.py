"""What runs must remember besides the tables: pins, run branches, receipts and materialised outputs.

One SQLite file, DRLS_HOME/runs.db. Everything here is keyed by the *run key*: the run's id, or the id of the
run it resumes (re-execution from failure), so that a repeated step finds what its first try did (D2, D7).
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import sqlalchemy as sa

from drls_dagster.processes import process_is
from drls_dagster.settings import Settings, private_home
from lifecycle.private_files import private_database

_metadata = sa.MetaData()
_pins = sa.Table(
    "pins",
    _metadata,
    sa.Column("run_key", sa.String, primary_key=True),
    sa.Column("epoch", sa.String, primary_key=True),
    sa.Column("node", sa.String, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)
_branches = sa.Table(
    "branches",
    _metadata,
    sa.Column("branch", sa.String, primary_key=True),
    sa.Column("table_name", sa.String, primary_key=True),
    sa.Column("run_key", sa.String, nullable=False),
    sa.Column("session_id", sa.String, nullable=False),
    sa.Column("engine_id", sa.String, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("state", sa.String, nullable=False),  # open | failed_check
    sa.Column("at", sa.Float, nullable=False),
)
_receipts = sa.Table(
    "receipts",
    _metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("table_uuid", sa.String, nullable=False, index=True),
    sa.Column("ref", sa.String, nullable=False),
    sa.Column("snapshot_id", sa.BigInteger, nullable=False),
    sa.Column("run_key", sa.String, nullable=False),
    sa.Column("step", sa.String, nullable=False),
    sa.Column("partitions", sa.String, nullable=False),
    sa.Column("positions", sa.JSON, nullable=False),  # source table uuid -> snapshot id
    sa.Column("at", sa.Float, nullable=False),
)
_outputs = sa.Table(
    "outputs",
    _metadata,
    sa.Column("run_key", sa.String, primary_key=True),
    sa.Column("node", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("files", sa.JSON, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
_checks = sa.Table(
    "check_results",
    _metadata,
    sa.Column("run_key", sa.String, primary_key=True),
    sa.Column("node", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),  # the recipe that they looked at
    sa.Column("results", sa.JSON, nullable=False),
)
_processes = sa.Table(
    "processes",
    _metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
)

FAILED_CHECK_DAYS = 7


@dataclass(frozen=True)
class RunBranch:
    """A branch some run writes, or wrote, to."""

    table: str
    branch: str
    run_key: str
    session_id: str
    engine_id: str
    host: str
    pid: int
    created: float
    state: str
    at: float

    @property
    def is_debris(self) -> bool:
        """Nobody will come back for it: its process is gone, or its inspection time is over (D13)."""
        if self.state == "failed_check":
            return self.is_forgotten
        return self.host == socket.gethostname() and not process_is(self.pid, self.created)

    @property
    def is_forgotten(self) -> bool:
        """So old that nobody inspects it, and that no Spark server still has the session of its client."""
        return time.time() - self.at > FAILED_CHECK_DAYS * 86_400


@dataclass(frozen=True)
class Receipt:
    """A publish that happened."""

    table_uuid: str
    ref: str
    snapshot_id: int
    run_key: str
    step: str
    partitions: str
    positions: dict[str, int]


class Ledger:
    """The store of one DRLS_HOME; safe for several processes at once (A3: every write is BEGIN IMMEDIATE)."""

    def __init__(self, settings: Settings) -> None:
        file = private_home(settings.home) / "runs.db"
        private_database(file)
        self._engine = sa.create_engine(f"sqlite:///{file}", isolation_level="AUTOCOMMIT", connect_args={"timeout": 30})
        with self._write() as connection:
            _metadata.create_all(connection)

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with self._engine.connect() as connection:
            yield connection

    def close(self) -> None:
        self._engine.dispose()

    def pin(self, run_key: str, epoch: str, node: str, make: Callable[[], Any]) -> Any:
        """What `node` was pinned to in this run; the first who asks decides by `make()` (D1)."""
        where = (_pins.c.run_key == run_key) & (_pins.c.epoch == epoch) & (_pins.c.node == node)
        query = sa.select(_pins.c.value).where(where)
        with self._read() as connection:
            found = connection.execute(query).scalar_one_or_none()
        if found is not None:
            return found
        value = json.loads(json.dumps(make()))  # made outside of the transaction: it may take a while
        with self._write() as connection:
            found = connection.execute(query).scalar_one_or_none()
            if found is not None:
                return found
            row = {"run_key": run_key, "epoch": epoch, "node": node, "value": value}
            connection.execute(_pins.insert().values(row))
        return value

    def open_branch(self, table: str, branch: str, run_key: str, session_id: str, engine_id: str) -> None:
        """Note a branch before it is made, so that no crash can leave one that nobody knows of."""
        me = psutil.Process()
        row = {
            "table_name": table,
            "branch": branch,
            "run_key": run_key,
            "session_id": session_id,
            "engine_id": engine_id,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "created": me.create_time(),
            "state": "open",
            "at": time.time(),
        }
        with self._write() as connection:
            connection.execute(_branches.insert().values(row))

    def keep_branch(self, table: str, branch: str, *, now: float | None = None) -> None:
        """A check failed: the branch stays for inspection."""
        where = (_branches.c.table_name == table) & (_branches.c.branch == branch)
        values = {"state": "failed_check", "at": time.time() if now is None else now}
        with self._write() as connection:
            connection.execute(_branches.update().where(where).values(values))

    def close_branch(self, table: str, branch: str) -> None:
        """The branch is gone."""
        where = (_branches.c.table_name == table) & (_branches.c.branch == branch)
        with self._write() as connection:
            connection.execute(_branches.delete().where(where))

    def branches(self, table: str | None = None) -> list[RunBranch]:
        query = sa.select(_branches)
        if table is not None:
            query = query.where(_branches.c.table_name == table)
        with self._read() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            RunBranch(table=row["table_name"], **{k: v for k, v in row.items() if k != "table_name"}) for row in rows
        ]

    def record(self, receipt: Receipt) -> None:
        with self._write() as connection:
            connection.execute(_receipts.insert().values({**vars(receipt), "at": time.time()}))

    def receipts(self, table_uuid: str) -> list[Receipt]:
        """The receipts of a table, newest first."""
        query = sa.select(_receipts).where(_receipts.c.table_uuid == table_uuid).order_by(_receipts.c.seq.desc())
        with self._read() as connection:
            rows = connection.execute(query).mappings().all()
        return [Receipt(**{k: v for k, v in row.items() if k not in ("seq", "at")}) for row in rows]

    def output(self, run_key: str, node: str, key: str) -> list[list[Any]] | None:
        """The files of a materialised node, None when it was not materialised in this run (D2)."""
        where = (_outputs.c.run_key == run_key) & (_outputs.c.node == node) & (_outputs.c.key == key)
        with self._read() as connection:
            return connection.execute(sa.select(_outputs.c.files).where(where)).scalar_one_or_none()

    def record_output(self, run_key: str, node: str, key: str, files: list[Any]) -> None:
        row = {"run_key": run_key, "node": node, "key": key, "files": files, "at": time.time()}
        with self._write() as connection:
            connection.execute(sa.insert(_outputs).prefix_with("OR REPLACE").values(row))

    def record_checks(self, run_key: str, node: str, key: str, results: list[dict[str, Any]]) -> None:
        """What the checks on a node found for the recipe `key`; the last word of a retried step counts."""
        row = {"run_key": run_key, "node": node, "key": key, "results": results}
        with self._write() as connection:
            connection.execute(sa.insert(_checks).prefix_with("OR REPLACE").values(row))

    def checks(self, run_key: str, node: str, key: str) -> list[dict[str, Any]] | None:
        """What the checks on a node found for that recipe, None when nobody has looked in this run."""
        where = (_checks.c.run_key == run_key) & (_checks.c.node == node) & (_checks.c.key == key)
        with self._read() as connection:
            return connection.execute(sa.select(_checks.c.results).where(where)).scalar_one_or_none()

    def record_process(self, run_id: str) -> None:
        """This process executes the run: Dagster itself does not notice when it is killed."""
        me = psutil.Process()
        row = {"run_id": run_id, "host": socket.gethostname(), "pid": me.pid, "created": me.create_time()}
        with self._write() as connection:
            connection.execute(sa.insert(_processes).prefix_with("OR REPLACE").values(row))

    def is_dead(self, run_id: str) -> bool:
        """Whether the process that executed the run was on this machine and is gone."""
        query = sa.select(_processes).where(_processes.c.run_id == run_id)
        with self._read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return row is not None and row["host"] == socket.gethostname() and not process_is(row["pid"], row["created"])
