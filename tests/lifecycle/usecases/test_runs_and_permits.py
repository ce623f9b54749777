"""Admissions, permits, receipts, holds, rollback, drift (L9, L10, L11, L13, L15, L16)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from lifecycle.domain.environment import Environment
from lifecycle.domain.gate import Action
from lifecycle.domain.promotion import State
from lifecycle.domain.run import CheckResult, PermitState
from lifecycle.errors import Conflict, Refused
from lifecycle.usecases.admit_run import admit_run
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.grant_permit import grant_permit, record_receipt
from lifecycle.usecases.may import may
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.start_run import finish_run, start_run
from tests.fakes.clock import FakeClock
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec


def test_the_gate_answers_with_a_reason_for_people(life: Life) -> None:
    version = life.save()
    assert may(life.ctx, "flights", version.digest, Environment.DEVELOPMENT, Action.ADMIT).allowed
    answer = may(life.ctx, "flights", version.digest, PRODUCTION, Action.ADMIT)
    assert not answer.allowed
    assert answer.reason == "flights v1 is not active in production; promote it: drls promote flights --to production"
    assert "no such version" in may(life.ctx, "flights", "sha256:x", PRODUCTION, Action.ADMIT).reason
    assert "no pipeline" in may(life.ctx, "none", "sha256:x", PRODUCTION, Action.ADMIT).reason


def test_l10_a_run_is_admitted_once_and_keeps_its_version(life: Life) -> None:
    first = life.save()
    life.to_qa(first)
    run_id = life.begin(first, QA)
    second = life.save(make_spec(rows=2))
    life.to_qa(second)
    again = admit_run(life.ctx, DAGSTER, run_id, name="flights", digest=first.digest, environment=QA)
    assert again.version_id == first.id
    assert may(life.ctx, "flights", first.digest, QA, Action.RUN, run_id=run_id).allowed
    with pytest.raises(Refused, match="admitted with another version"):
        admit_run(life.ctx, DAGSTER, run_id, name="flights", digest=second.digest, environment=QA)


def test_l10_runs_go_one_after_another(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    first = life.begin(version, QA)
    admit_run(life.ctx, DAGSTER, "second", name="flights", digest=version.digest, environment=QA)
    assert start_run(life.ctx, DAGSTER, "second", "flights").waits_for == first
    finish_run(life.ctx, DAGSTER, first, "flights")
    assert start_run(life.ctx, DAGSTER, "second", "flights").waits_for == ""


def test_l10_in_qa_both_runs_of_the_old_version_finish(life: Life) -> None:
    first = life.save()
    life.to_qa(first)
    running = life.begin(first, QA)
    admit_run(life.ctx, DAGSTER, "queued", name="flights", digest=first.digest, environment=QA)
    second = life.save(make_spec(rows=2))
    life.to_qa(second)
    life.publish(life.publishing(running, "flights.daily", QA))
    finish_run(life.ctx, DAGSTER, running, "flights")
    assert start_run(life.ctx, DAGSTER, "queued", "flights").waits_for == ""
    finish_run(life.ctx, DAGSTER, "queued", "flights")
    assert [one.environment for one in life.run(second, QA)] == [QA, QA]


def test_l10_in_production_supersede_revokes_the_queued_and_stops_the_running_from_publishing(
    life: Life,
) -> None:
    first = life.save()
    life.to_production(first)
    running = life.begin(first, PRODUCTION)
    admit_run(life.ctx, DAGSTER, "queued", name="flights", digest=first.digest, environment=PRODUCTION)
    life.to_production(life.save(make_spec(rows=2)))
    with pytest.raises(Refused, match="superseded by v2"):
        start_run(life.ctx, DAGSTER, "queued", "flights")
    with pytest.raises(Refused, match="superseded by v2"):
        grant_permit(life.ctx, DAGSTER, life.publishing(running, "flights.daily", PRODUCTION))


def test_l5_reexecution_of_another_versions_run_is_refused(life: Life) -> None:
    first = life.save()
    life.to_qa(first)
    root = life.begin(first, QA)
    second = life.save(make_spec(rows=2))
    life.to_qa(second)
    with pytest.raises(Refused, match="ran flights v1"):
        admit_run(life.ctx, DAGSTER, "retry", name="flights", digest=second.digest, environment=QA, run_key=root)


def test_l5_only_runtime_parameters_change_in_uat(life: Life) -> None:
    parameters = {"day": {"type": "string", "runtime": True}, "limit": {"type": "integer", "default": 1}}
    version = life.save(make_spec(parameters=parameters))
    life.to_uat(version)
    admit_run(
        life.ctx,
        DAGSTER,
        "r1",
        name="flights",
        digest=version.digest,
        environment=UAT,
        parameters={"day": "x"},
    )
    with pytest.raises(Refused, match="limit may not be changed in UAT"):
        admit_run(
            life.ctx,
            DAGSTER,
            "r2",
            name="flights",
            digest=version.digest,
            environment=UAT,
            parameters={"limit": 2},
        )
    with life.store.read() as view:
        assert view.log.search(verb="admission.refused")[0].subject == "run:r2"


def test_a_failed_blocking_check_gets_no_permit(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)
    failed = (CheckResult(node="checks0", check="some", passed=False),)
    with pytest.raises(Refused, match=r"failed: checks0\.some"):
        grant_permit(life.ctx, DAGSTER, life.publishing(run_id, "flights.daily", QA, checks=failed))
    with pytest.raises(Refused, match="not run"):
        grant_permit(life.ctx, DAGSTER, life.publishing(run_id, "flights.daily", QA, checks=()))


def test_d7_a_repeated_step_finds_its_receipt(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)
    receipt = life.publish(life.publishing(run_id, "flights.daily", QA))
    leave = grant_permit(life.ctx, DAGSTER, life.publishing(run_id, "flights.daily", QA))
    assert (leave.permit, leave.receipt) == (None, receipt)


def test_l11_a_publish_without_its_receipt_is_found_in_the_refs_history(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)
    published = life.publishing(run_id, "flights.daily", QA)
    never = life.publishing(run_id, "flights.late", QA, 1)
    permits = [grant_permit(life.ctx, DAGSTER, one).permit for one in (published, never)]
    life.plane.publish("flights.daily", "qa", published.base, published.candidate)
    life.clock.advance(minutes=5)
    reconcile(life.ctx, SETUP)
    with life.store.read() as view:
        assert [view.runs.permit(one.id).state for one in permits if one] == [
            PermitState.USED,
            PermitState.VOID,
        ]
        assert [one.snapshot for one in view.runs.receipts(version_id=version.id)] == [published.candidate]


def test_l11_execution_waits_for_a_live_permit_then_settles_it(life: Life) -> None:
    first = life.save()
    life.to_production(first)
    second = life.save(make_spec(rows=2))
    life.to_uat(second)
    life.run(second, UAT)
    request = life.ask(second, PRODUCTION)
    run_id = life.begin(first, PRODUCTION)
    publishing = life.publishing(run_id, "flights.daily", PRODUCTION)
    permit = grant_permit(life.ctx, DAGSTER, publishing).permit
    assert permit is not None
    waiting = life.approve(request)
    assert waiting.state is State.EXECUTING
    with pytest.raises(Conflict, match="executing"):
        grant_permit(life.ctx, DAGSTER, life.publishing(run_id, "flights.late", PRODUCTION, 1))
    life.clock.advance(minutes=5)
    assert execute_promotion(life.ctx, SETUP, request.id).promotion.state is State.DONE
    with life.store.read() as view:
        assert view.runs.permit(permit.id).state is PermitState.VOID
    with pytest.raises(Refused):
        record_receipt(life.ctx, DAGSTER, permit.id)


def test_l8_a_waiting_request_is_free_for_an_executor_whose_clock_is_behind(life: Life, tmp_path: Path) -> None:
    first = life.save()
    life.to_production(first)
    second = life.save(make_spec(rows=2))
    life.to_uat(second)
    life.run(second, UAT)
    request = life.ask(second, PRODUCTION)
    publishing = life.publishing(life.begin(first, PRODUCTION), "flights.daily", PRODUCTION)
    permit = grant_permit(life.ctx, DAGSTER, publishing).permit
    assert permit is not None
    assert life.approve(request).state is State.EXECUTING
    assert life.plane.publish(publishing.table, publishing.ref, publishing.base, publishing.candidate)
    record_receipt(life.ctx, DAGSTER, permit.id)
    behind = Life(life.store, tmp_path, FakeClock(life.clock.now() - timedelta(minutes=3)), "behind")
    done = execute_promotion(behind.ctx, SETUP, request.id)
    # The run was first: what was approved is not what is there any more.
    assert (done.waiting, done.promotion.state) == (None, State.STALE)
