"""D9, D12, L5, L14: runs of a session become evidence, and what was looked at becomes production."""

from __future__ import annotations

import dagster as dg
import pytest
from lab import monitor, python, sink, sql
from lifecycle_lab import PRODUCTION, QA, UAT, LifecycleLab

from drls_dagster.lakehouse.refs import RELEASED
from lifecycle.domain.plan import Carry
from lifecycle.domain.promotion import State
from lifecycle.errors import Refused


def test_d9_d12_l14_runs_of_a_session_stack_a_foreign_write_voids_it_and_the_first_release_is_what_ran(
    life: LifecycleLab,
) -> None:
    life.file("a.csv", "id\n1\n2\n")
    some = monitor("some", {"kind": "row_count", "min": 1})
    one = life.save(life.csv(), sink("out", life.named("out"), repeat=True), some, flow="raw>out>some")
    with pytest.raises(Refused, match="version 1 is not active in QA: promote it there first"):
        life.ask(one, UAT)
    life.promote(one, QA)
    life.works(QA)
    life.works(QA)
    assert life.on("out", "qa") == [(1,), (1,), (2,), (2,)]
    assert life.head("out") is None
    in_qa = life.ask(one, UAT)
    assert len(life.lea.promotions.show(in_qa.id).plan.receipts) == 2
    assert life.approve(in_qa).state is State.DONE

    life.works(UAT)
    assert life.on("out", "uat") == [(1,), (2,)], "fresh off main, which has nothing yet"
    theirs = life.foreign("out", "uat", id=99)
    with pytest.raises(Refused, match=f"snapshot {theirs} was not written by this version.*refresh the session"):
        life.ask(one, PRODUCTION)
    life.ada.environments.new_session(life.name, UAT)
    life.works(UAT)
    asked = life.ask(one, PRODUCTION)
    plan = life.lea.promotions.show(asked.id).plan
    (table,) = plan.tables
    assert (plan.carry, table.base, table.candidate) == (Carry.SNAPSHOT, None, life.head("out", "uat"))
    assert life.approve(asked).state is State.DONE

    assert life.head("out") == table.candidate
    assert life.on("out", "main") == [(1,), (2,)]
    assert life.table("out").properties[RELEASED] == "true"
    key = dg.AssetKey(["production", life.settings.catalog.name, life.ns, "out"])
    told = life.instance_here.get_latest_materialization_event(key)
    assert told is not None
    assert told.run_id == "", "nothing ran: it was carried"
    metadata = told.asset_materialization.metadata  # pyright: ignore[reportOptionalMemberAccess]
    assert metadata["snapshot_id"].value == str(table.candidate)
    assert (metadata["drls/version"].value, metadata["drls/promotion"].value) == (one, asked.id)
    assert life.unanswered("out", PRODUCTION) == life.unanswered("out", UAT) == []


@pytest.mark.slow
def test_d9_five_partitions_are_evidence_as_five_runs_and_as_one(life: LifecycleLab) -> None:
    days = [f"2024-03-0{day}" for day in range(1, 6)]
    life.file("a.csv", "day,n\n" + "".join(f"{day},{n}\n" for n, day in enumerate(days)))
    one = life.save(
        life.csv(day="date", n="int"),
        sql("windowed", "SELECT * FROM raw WHERE day >= :partition_start AND day < :partition_end"),
        sink("out", life.named("out"), "overwrite_partitions", partition_by=["day"]),
        flow="raw>windowed>out",
        partitions={"kind": "daily", "start": "2024-03-01", "end": "2024-03-06", "column": "day"},
    )
    life.promote(one, QA)
    life.works(QA, span=(days[0], days[-1]))
    life.promote(one, UAT)
    for day in days:
        life.works(UAT, partition=day)
    assert life.on("out", "uat", "n") == [(n,) for n in range(5)]
    done = life.promote(one, PRODUCTION)
    plan = life.lea.promotions.show(done.id).plan
    assert (plan.carry, len(plan.receipts)) == (Carry.SNAPSHOT, 5)
    assert sorted(one.partition[:10] for one in life.receipts("out", UAT)) == days
    assert life.on("out", "main") == life.on("out", "uat")
    assert life.head("out") == life.head("out", "uat")


MAY_FAIL = """
def transform(spark, raw):
    import os
    if os.path.exists({marker!r}):
        raise RuntimeError("not now")
    return raw
"""


def test_l5_a_run_that_failed_is_not_re_executed_with_another_version(life: LifecycleLab) -> None:
    life.file("a.csv", "id\n1\n")
    life.file("marker", "")
    code = MAY_FAIL.format(marker=str(life.landing / "marker"))
    parts = (life.csv(), python("some", code), sink("out", life.named("out"), "overwrite"))
    one = life.save(*parts, flow="raw>some>out")
    life.promote(one, QA)
    failed = life.run_in(QA)
    assert "not now" in failed.failure
    life.promote(life.save(*parts, flow="raw>some>out", description="the second"), QA)
    (life.landing / "marker").unlink()
    resumed = life.resume(QA, failed.run_id)
    assert f"the run to re-execute ran {life.name} v1 in QA; launch a new run" in resumed.failure
    assert not life.catalog.table_exists(life.identifier("out"))
    life.works(QA)
    assert life.on("out", "qa") == [(1,)]
