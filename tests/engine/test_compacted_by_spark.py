"""Tables of format version 2 that Spark compacts since they are large: next to writers, after a kill, under a permit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lab import Lab, files, sink
from lifecycle_lab import PRODUCTION, UAT, LifecycleLab

from drls_dagster.lakehouse import refs
from drls_dagster.maintenance import compact
from drls_dagster.maintenance.compact import spark
from drls_dagster.maintenance.port import TableMaintenance
from drls_dagster.maintenance.work import Keep, Work
from lifecycle.domain.operations import CompactOptions, CompactResult, OperationKind, OperationState, Progress
from lifecycle.domain.people import Actor, WayIn
from lifecycle.domain.tables import TableAt
from lifecycle.usecases.operate_table import start_operation
from tests.drls_dagster.maintenance.compacting import (
    committer,
    delete_equal,
    delete_positions,
    live,
    needed,
    stored,
    work,
)
from tests.waiting import wait_until

MODES = "'format-version'='2', 'write.delete.mode'='merge-on-read', 'write.update.mode'='merge-on-read'"


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table is large."""
    monkeypatch.setenv("DRLS_MAINTENANCE__SPARK_ABOVE", "0")


@pytest.mark.slow
def test_a_large_table_is_compacted_by_spark_while_others_write_and_delete(
    large: None, lab: Lab, tmp_path: Path
) -> None:
    name, table_name = neglected(lab)
    p1 = next(one for one in live(lab.table("t")) if "s=p1" in one.file_path)
    delete_equal(lab.catalog, table_name, pa.table({"n": [4, 5, 1000]}), p1)
    lab.sql(f"ALTER TABLE {name} CREATE TAG kept")
    before = {ref: seen(lab, name, ref) for ref in ("main", "kept")}
    made = large_work(lab, table_name, tmp_path)
    published: list[tuple[str, int | None]] = []
    others: list[int] = []

    def meanwhile(_: Progress) -> None:
        if made.journal.notes(spark.NOTE) and not others:
            others.append(1)
            lab.append("t", (1000, "p0"))
            p2 = next(one for one in live(lab.table("t")) if "s=p2" in one.file_path)
            delete_positions(lab.catalog, table_name, {p2.file_path: [0]})

    def publish(table: Any, ref: str, base: int | None, add: Any, snapshot_id: int) -> Any:
        published.append((ref, base))
        return committer(lab.catalog)(table, ref, base, add, snapshot_id)

    made = replace(made, told=meanwhile, publish=publish)
    planned = compact.plan(made.table, "main", CompactOptions(), Keep())
    done = compact.execute(made, CompactOptions())

    assert "which is started if it does not run: it rewrites more than maintenance.spark_above" in planned.reasons[-1]
    assert others
    assert {ref for ref, _ in published} == {"main"}
    assert len(published) >= 2, "one partition was left to a second round"
    after = seen(lab, name, "main")
    assert seen(lab, name, "kept") == before["kept"]
    assert len(after) == len(before["main"])  # one came, one went
    assert len(set(before["main"]) - set(after)) == 1
    assert [row["n"] for row in lab.sql(f"SELECT n FROM {name} WHERE n = 1000")] == [1000]
    assert done.applied_deletes > 0
    assert done.snapshot == refs.head(lab.table("t"), "main")
    assert len(live(lab.table("t"))) <= 4
    require_tidy(lab)


@pytest.mark.slow
def test_what_a_killed_compaction_left_in_spark_is_removed_by_the_next_one(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, table_name = neglected(lab)
    before = seen(lab, name, "main")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    made = large_work(lab, table_name, tmp_path)
    with monkeypatch.context() as until, pytest.raises(KeyboardInterrupt):
        until.setattr(spark, "commit", killed)
        until.setattr(spark, "_drop", killed)
        compact.execute(made, CompactOptions())
    [left] = [ref for ref in lab.table("t").metadata.refs if ref != "main"]
    assert refs.head(lab.table("t"), left) != refs.head(lab.table("t"), "main")
    assert seen(lab, name, "main") == before

    done = compact.execute(large_work(lab, table_name, tmp_path), CompactOptions(strategy="sort", columns=("n",)))

    assert done.rewritten_files > done.new_files
    assert seen(lab, name, "main") == before
    assert made.journal.notes(spark.NOTE) == []
    require_tidy(lab)


@pytest.mark.slow
def test_l15_spark_compacts_production_under_a_permit(large: None, life: LifecycleLab) -> None:
    one = life.save(
        files("raw", life.path("*.csv"), id="long"),
        sink("out", life.named("out"), repeat=True),
        flow="raw>out",
    )
    life.deploy(one, UAT, PRODUCTION)
    for number in range(3):
        life.file(f"{number}.csv", f"id\n{number}\n")
        life.works(PRODUCTION)
    rows, base = life.on("out", "main"), life.head("out")
    ctx = replace(life.ctx, maintenance=TableMaintenance(life.settings))
    with ctx.store.read() as view:
        lea = Actor(person=view.people.named("lea").id, name="lea", way_in=WayIn.CLI, host="laptop")
    table = TableAt(name=life.named("out"))

    started = start_operation(ctx, lea, OperationKind.COMPACT, table, None, CompactOptions(all=True))
    wait_until(lambda: ctx.maintenance.operation(started.id).state.is_over, 180)

    ended = ctx.maintenance.operation(started.id)
    assert ended.state is OperationState.DONE, ended.error
    assert isinstance(ended.result, CompactResult)
    assert ended.plan is not None
    assert "Spark does it on the engine" in " ".join(ended.plan.reasons)
    assert (ended.result.snapshot, life.on("out", "main")) == (life.head("out"), rows)
    assert ended.result.snapshot != base
    assert life.unanswered("out", PRODUCTION) == []
    receipt = life.receipts("out", PRODUCTION)[-1]
    with ctx.store.read() as view:
        assert [one for one in view.runs.live_maintenance() if one.table_name == life.named("out")] == []
    assert (receipt.base, receipt.snapshot) == (base, ended.result.snapshot)
    assert [ref for ref in life.table("out").metadata.refs if "maintain" in ref] == []


def neglected(lab: Lab) -> tuple[str, str]:
    """A table with small files and rows that Spark deleted and changed: its name in Spark, and in the catalog."""
    lab.catalog.create_namespace_if_not_exists(lab.identifier("t")[:1])
    name = lab.spark_name("t")
    lab.sql(f"CREATE TABLE {name} (n BIGINT, s STRING) USING iceberg PARTITIONED BY (s) TBLPROPERTIES ({MODES})")
    for start in range(0, 120, 20):
        lab.sql(f"INSERT INTO {name} SELECT id, concat('p', id % 3) FROM range({start}, {start + 20})")
    lab.sql(f"DELETE FROM {name} WHERE n % 7 = 0")
    return name, ".".join(lab.identifier("t"))


def large_work(lab: Lab, name: str, folder: Path) -> Work:
    """As `large` for this process, whose settings were read before."""
    settings = lab.settings.model_copy(
        update={"maintenance": lab.settings.maintenance.model_copy(update={"spark_above": 0})}
    )
    made: Any = work(lab.catalog, lab.catalog.load_table(name), folder)
    return replace(made, settings=settings)


def seen(lab: Lab, name: str, ref: str) -> list[str]:
    return sorted(map(str, lab.sql(f"SELECT * FROM {name} VERSION AS OF '{ref}'")))


def require_tidy(lab: Lab) -> None:
    """No branch of Spark's is left, and no file that no snapshot needs."""
    table = lab.table("t")
    assert [ref for ref in table.metadata.refs if "maintain" in ref] == []
    assert stored(table) == needed(table)
