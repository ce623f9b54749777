"""L10, L11: what becomes of runs that are under way when something happens to their version, or to themselves."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from lab import on, sink, sql
from lifecycle_lab import PRODUCTION, QA, SETUP, UAT, LifecycleLab

from lifecycle.domain.environment import Environment
from lifecycle.domain.run import PermitState
from lifecycle.usecases.reconcile import reconcile


def version(life: LifecycleLab, text: str) -> int:
    return life.save(
        life.csv(), sql("shaped", f"SELECT id, '{text}' AS by FROM raw"),
        sink("out", life.named("out"), repeat=True), flow="raw>shaped>out",
    )  # fmt: skip


def verbs(life: LifecycleLab, run_id: str) -> Sequence[str]:
    with life.ctx.store.read() as view:
        return [one.verb for one in view.log.search(subject=f"run:{run_id}")]


def test_l10_in_qa_a_running_and_a_queued_run_finish_as_v1_though_v2_is_promoted_meanwhile(life: LifecycleLab) -> None:
    life.file("a.csv", "id\n1\n")
    life.promote(version(life, "v1"), QA)
    queued = life.queue(QA)
    two = version(life, "v2")
    running = life.works(QA, at=on("audited", lambda: life.promote(two, QA)))
    assert life.works(QA, queued=queued).run_id == queued[1].run_id
    assert life.on("out", "qa") == [(1, "v1"), (1, "v1")]
    assert [one.run_id for one in life.receipts("out", QA)] == [running.run_id, queued[1].run_id]
    life.works(QA)
    assert life.on("out", "qa") == [(1, "v2")], "v2's own session, fresh off main"


def test_l10_in_production_the_queued_run_is_refused_and_the_running_one_may_not_publish(life: LifecycleLab) -> None:
    life.file("a.csv", "id\n1\n")
    life.deploy(version(life, "v1"), UAT, PRODUCTION)
    life.works(PRODUCTION)
    before = life.table("out").metadata.snapshot_log
    queued = life.queue(PRODUCTION)
    two = version(life, "v2")
    life.deploy(two, UAT)
    life.works(UAT)
    candidate = life.head("out", "uat")
    running = life.run_in(PRODUCTION, at=on("audited", lambda: life.promote(two, PRODUCTION)))
    assert running.failure.startswith(f"DRLS did not let {life.name} run in production: ")
    assert f"{life.name} v1 may not publish in production: superseded by v2." in running.failure
    refused = life.run_in(PRODUCTION, queued=queued)
    (told,) = {*refused.failures.values()}
    assert f"this run of {life.name} v1 may not continue in production: superseded by v2 in production." in told

    assert life.head("out") == candidate
    assert len(life.table("out").metadata.snapshot_log) == len(before) + 1, "the promotion moved main, nobody else"
    assert life.branches("out") == [f"drls-release-{life.newest_request()}", "uat"], "no branch of a run is left"
    assert life.unanswered("out", PRODUCTION) == []
    assert "permit.refused" in verbs(life, running.run_id)
    assert "admission.revoked" in verbs(life, queued[1].run_id)
    life.works(PRODUCTION)
    assert life.on("out", "main") == [(1, "v1"), (1, "v2"), (1, "v2")]


@pytest.mark.slow
def test_l11_a_run_killed_around_its_compare_and_set_leaves_no_snapshot_without_a_receipt(life: LifecycleLab) -> None:
    life.file("a.csv", "id\n1\n")
    one = version(life, "v1")
    life.promote(one, QA)
    life.deploy(one, UAT)
    killed = {QA: life.killed_at(QA, "behind"), UAT: life.killed_at(UAT, "before")}
    assert [process.wait(timeout=120) for process in killed.values()] == [-9, -9]
    assert life.on("out", "qa") == [(1, "v1")]
    assert life.head("out", "uat") is None
    assert len(life.unanswered("out", QA)) > 0
    assert {where: states(life, where) for where in killed} == {where: [PermitState.LIVE] for where in killed}

    life.reconciled()
    assert life.receipts("out", QA) == (), "within the lease nobody says what became of it"
    reconcile(life.later(), SETUP)
    assert {where: states(life, where) for where in killed} == {QA: [PermitState.USED], UAT: [PermitState.VOID]}
    (receipt,) = life.receipts("out", QA)
    assert receipt.snapshot == life.head("out", "qa")
    assert receipt.details.rows == 1
    assert life.unanswered("out", QA) == []
    assert life.receipts("out", UAT) == ()
    life.works(UAT)
    assert life.on("out", "uat") == [(1, "v1")]
    assert not [name for name in life.branches("out") if name.startswith("drls_run")], "D13: cleared by the next run"


def states(life: LifecycleLab, environment: Environment) -> list[PermitState]:
    with life.ctx.store.read() as view:
        return [one.state for one in view.runs.permits_on(life.named("out"), environment.ref, environment)]
