"""L3, L4: production goes on while a version waits; what was approved is what happens, and no row is lost."""

from __future__ import annotations

from typing import Any

from lab import Node, iceberg, sink, sql
from lifecycle_lab import PRODUCTION, UAT, LifecycleLab

from lifecycle.domain.plan import Carry
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State

HOURLY = {"cron": "0 * * * *", "timezone": "UTC"}


def appends(life: LifecycleLab, text: str, **more: Any) -> int:
    """An append of what is new in `feed`."""
    parts: tuple[Node, ...] = (
        iceberg("raw", life.named("feed"), "incremental"),
        sql("shaped", f"SELECT id, '{text}' AS by FROM raw"),
        sink("out", life.named("out")),
    )
    return life.save(*parts, flow="raw>shaped>out", **more)


def begin(life: LifecycleLab, **more: Any) -> int:
    """v1 has written a first row in production, v2 is in UAT."""
    life.create("feed", id="long")
    life.append("feed", (1,))
    life.deploy(appends(life, "v1", **more), UAT, PRODUCTION)
    life.works(PRODUCTION)
    two = appends(life, "v2", **more)
    life.deploy(two, UAT)
    return two


def test_l4_an_hourly_append_goes_on_while_v2_waits_so_its_code_is_promoted_and_its_positions_are_productions(
    life: LifecycleLab,
) -> None:
    two = begin(life, schedule=HOURLY)
    life.append("feed", (2,))
    life.works(UAT)
    assert life.on("out", "uat") == [(1, "v1"), (2, "v2")]
    asked = life.ask(two, PRODUCTION)
    plan = life.lea.promotions.show(asked.id).plan
    assert plan.carry is Carry.CODE
    assert plan.carry_reason.startswith("production writes these tables again at ")
    assert [position.state for position in plan.positions] == ["continues"]

    life.append("feed", (3,))
    life.works(PRODUCTION)
    assert life.approve(asked).state is State.DONE
    assert life.on("out", "main") == [(1, "v1"), (2, "v1"), (3, "v1")]
    life.append("feed", (4,))
    life.works(PRODUCTION)
    assert life.on("out", "main") == [(1, "v1"), (2, "v1"), (3, "v1"), (4, "v2")]
    assert life.unanswered("out", PRODUCTION) == []


def test_l3_a_run_in_production_makes_a_carried_plan_stale_and_an_adopted_compaction_does_not(
    life: LifecycleLab,
) -> None:
    two = begin(life)
    life.append("feed", (2,))
    life.works(UAT)
    asked = life.ask(two, PRODUCTION)
    assert life.lea.promotions.show(asked.id).plan.carry is Carry.SNAPSHOT
    life.append("feed", (3,))
    life.works(PRODUCTION)  # by hand: nothing said that it would
    stale = life.approve(asked)
    assert stale.state is State.STALE
    assert f"tables[{life.named('out')}].base" in stale.outcome
    rows = life.on("out", "main")
    assert rows == [(1, "v1"), (2, "v1"), (3, "v1")]

    life.append("feed", (4,))
    life.ada.environments.new_session(life.name, UAT)
    life.works(UAT)
    hold = life.lea.environments.set_hold(HoldKind.FREEZE, PRODUCTION, life.name, reason="not now")
    asked = life.ask(two, PRODUCTION)
    assert life.approve(asked).state is State.APPROVED
    before = life.head("out")
    (done,) = life.sql(
        f"CALL lake.system.rewrite_data_files(table => '{life.spark_name('out')}', "
        "options => map('min-input-files', '2', 'rewrite-all', 'true'))"
    )
    assert done.rewritten_data_files_count >= 2
    compacted = life.table("out").current_snapshot()
    assert compacted is not None
    assert compacted.parent_snapshot_id == before
    assert compacted.summary is not None
    assert compacted.summary.operation.value == "replace"
    (drift,) = [one for one in life.reconciled().drifts if one.table_name == life.named("out")]
    adopted = life.lea.environments.settle_drift(drift.id, "adopt", reason="the nightly compaction")
    assert adopted.state == "adopted", "Spark's compaction holds the same rows (L15)"
    life.lea.environments.lift_hold(hold.id)
    finished = life.ada.promotions.execute(asked.id)
    assert finished.state is State.DONE, finished.outcome
    assert life.on("out", "main") == [*rows, (4, "v2")]
    assert life.head("out") == life.lea.promotions.show(asked.id).plan.tables[0].candidate
