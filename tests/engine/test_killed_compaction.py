"""`kill -9` in the middle of Spark's compaction: of the operation's process, and of the engine under it.

Two operations are at work at each kill: Spark commits one to a branch of its own (format version 2) and the other on the
table's branch itself (format version 3).
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Any

import pytest
from lab import wait_for
from lifecycle_lab import LifecycleLab

from drls_dagster.engine import client
from drls_dagster.ledger.operations import KILLED
from drls_dagster.ledger.tables import OPERATIONS
from drls_dagster.maintenance.compact import spark
from drls_dagster.maintenance.port import TableMaintenance
from lifecycle.domain.operations import (
    CompactOptions,
    Operation,
    OperationKind,
    OperationState,
    Options,
    OrphanOptions,
)
from lifecycle.domain.people import Actor, WayIn
from lifecycle.domain.tables import TableAt
from lifecycle.usecases.context import Context
from lifecycle.usecases.operate_table import start_operation
from tests.drls_dagster.maintenance.compacting import needed, stored

pytestmark = [pytest.mark.kills, pytest.mark.timeout(900)]
TABLES = ("v2", "v3")
ALL = CompactOptions(all=True)
ROWS = 100_000  # of a file: Spark is at work for some seconds


class Compacting:
    """Operations of Lea on the tables of a lab."""

    def __init__(self, life: LifecycleLab) -> None:
        self.life = life
        self.ctx: Context = replace(life.ctx, maintenance=TableMaintenance(life.settings))
        with life.ctx.store.read() as view:
            self.lea = Actor(person=view.people.named("lea").id, name="lea", way_in=WayIn.CLI, host="laptop")

    def neglect(self, table: str) -> list[str]:
        """Small files, and rows that Spark deleted; the rows."""
        name = self.life.spark_name(table)
        for start in range(4):
            self.life.sql(
                f"INSERT INTO {name} SELECT id, concat('p', id % 2), sha2(CAST(id AS STRING), 512) "
                f"FROM range({start * ROWS}, {(start + 1) * ROWS})"
            )
        self.life.sql(f"DELETE FROM {name} WHERE n % 1000 = 7")
        return self.rows(table)

    def rows(self, table: str) -> list[str]:
        """How many there are, and what they are."""
        name = self.life.spark_name(table)
        return [*map(str, self.life.sql(f"SELECT count(*), sum(n), bit_xor(xxhash64(n, s, long)) FROM {name}"))]

    def start(self, table: str, kind: OperationKind = OperationKind.COMPACT, options: Options = ALL) -> Operation:
        return start_operation(self.ctx, self.lea, kind, TableAt(name=self.life.named(table)), None, options)

    def completes(self, table: str, kind: OperationKind = OperationKind.COMPACT, options: Options = ALL) -> None:
        done = self.ended(self.start(table, kind, options))
        assert done.state is OperationState.DONE, done.error

    def now(self, one: Operation) -> Operation:
        return self.ctx.maintenance.operation(one.id)

    def is_over(self, one: Operation) -> bool:
        return self.now(one).state.is_over

    def is_in_spark(self, one: Operation) -> bool:
        """Its journal says that Spark works on it, and the branch that Spark writes is there."""
        notes = self.life.ledger.notes_on(one.table, spark.NOTE)
        known = self.life.catalog.load_table(one.table).metadata.refs
        return bool(notes) and all(note.facts.get("branch", "main") in known for note in notes)

    def ended(self, one: Operation) -> Operation:
        wait_for(f"the end of operation {one.id}", lambda: self.now(one).state.is_over, 400)
        return self.now(one)

    def kill(self, one: Operation) -> None:
        with self.life.ledger._database.read() as connection:
            row: Any = connection.execute(OPERATIONS.select().where(OPERATIONS.c.id == one.id)).mappings().one()
        os.kill(row["pid"], signal.SIGKILL)


@pytest.mark.parametrize("victim", ["process", "engine"])
def test_a_compaction_killed_in_spark_keeps_every_row_and_the_next_one_completes_it(
    life: LifecycleLab, victim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRLS_MAINTENANCE__SPARK_ABOVE", "0")
    work = Compacting(life)
    life.catalog.create_namespace_if_not_exists(life.ns)
    for table in TABLES:
        life.sql(
            f"CREATE TABLE {life.spark_name(table)} (n BIGINT, s STRING, long STRING) USING iceberg PARTITIONED BY (s) TBLPROPERTIES "
            f"('format-version'='{table[1:]}', 'write.delete.mode'='merge-on-read')"
        )
    rows = {table: work.neglect(table) for table in TABLES}
    state = client.ensure_engine(life.settings)

    killed = {table: work.start(table) for table in TABLES}
    for one in killed.values():
        wait_for("Spark's work", lambda one=one: work.is_over(one) or work.is_in_spark(one), 300)
        if victim == "process" and not work.is_over(one):
            work.kill(one)
    if victim == "engine":
        os.kill(state.pid, signal.SIGKILL)

    failed = [ended for ended in map(work.ended, killed.values()) if ended.state is OperationState.FAILED]
    assert failed, "all were done before the kill"
    for one in failed:
        assert one.error is not None
        assert "\n" not in one.error
        assert victim == "engine" or one.error == KILLED
    for table in TABLES:
        assert needed(life.table(table)) <= stored(life.table(table))
    if victim == "engine":
        client.stop(life.settings, force=True)  # as the next operation says where a part of the engine still runs
    assert {table: work.rows(table) for table in TABLES} == rows, "readable, on whatever engine"

    for table in TABLES:
        work.completes(table)
        assert work.rows(table) == rows[table]
        found = life.table(table)
        assert [ref for ref in found.metadata.refs if ref != "main"] == []
        assert life.ledger.notes_on(life.named(table), spark.NOTE) == []
        left = stored(found) - needed(found)
        if victim == "engine":
            # Nobody can tell what a dead Spark wrote and did not commit from what another Spark is about to commit.
            assert all(one.suffix == ".parquet" for one in left)
            for one in left:
                os.utime(one, (0, 0))
            work.completes(table, OperationKind.ORPHANS, OrphanOptions(dry_run=False))
            left = stored(found) - needed(found)
        assert left == set(), "nothing is orphaned"
        assert work.rows(table) == rows[table]
