"""Admissions, permits, receipts, holds, rollback, drift (L9, L10, L11, L13, L15, L16)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from lifecycle.domain.environment import Environment
from lifecycle.domain.gate import Action
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State
from lifecycle.domain.run import CheckResult, Outcome, PermitState
from lifecycle.domain.version import Label
from lifecycle.errors import Conflict, Invalid, NotFound, Refused
from lifecycle.ports import ReleaseFacts, RunState
from lifecycle.usecases.admit_run import admit_run
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.delete_pipeline import delete_pipeline
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.grant_permit import grant_permit, record_receipt
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.may import may
from lifecycle.usecases.note_outcomes import note_outcomes
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.retire_version import retire_version
from lifecycle.usecases.rollback_release import plan_rollback, rollback_release
from lifecycle.usecases.settle_drift import settle_drift
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
        admit_run(life.ctx, DAGSTER, "retry", name="flights", digest=second.digest, environment=QA, root_run_id=root)


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
    with pytest.raises(Refused, match="limit may not change in UAT"):
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


def test_l9_a_freeze_holds_promotions_and_lets_runs_go_on(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, UAT, None, reason="year end")
    life.run(version, QA)
    request = life.ask(version, UAT)
    assert life.approve(request).state is State.APPROVED
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    assert execute_promotion(life.ctx, SETUP, request.id).promotion.state is State.DONE


def test_l9_a_stop_revokes_and_admits_nothing(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)
    set_hold(life.ctx, life.as_("lea"), HoldKind.STOP, QA, "flights", reason="wrong data")
    with pytest.raises(Refused, match="stopped"):
        grant_permit(life.ctx, DAGSTER, life.publishing(run_id, "flights.daily", QA))
    with pytest.raises(Refused, match="a LeadDataEngineer can lift the stop"):
        admit_run(life.ctx, DAGSTER, "next", name="flights", digest=version.digest, environment=QA)
    with pytest.raises(Invalid, match="reason"):
        set_hold(life.ctx, life.as_("lea"), HoldKind.STOP, QA, None, reason="")


def test_l1_rollback_reactivates_the_previous_release_and_the_other_needs_a_new_uat_run(life: Life) -> None:
    life.to_production(life.save())
    second = life.save(make_spec(rows=2))
    life.to_production(second)
    done = rollback_release(life.ctx, life.as_("lea"), "flights", reason="late flights are missing")
    assert (done.state, life.active_number(PRODUCTION)) == (State.DONE, 1)
    with pytest.raises(Refused, match=r"the runs in UAT so far are no evidence any more.*: run the pipeline in UAT"):
        life.ask(second, PRODUCTION)
    with pytest.raises(Refused, match="no earlier release"):
        rollback_release(life.ctx, life.as_("lea"), "flights", reason="further")


def test_l13_rolling_back_data_lists_what_goes_away_and_needs_consent(life: Life) -> None:
    life.to_production(life.save())
    before = life.plane.head("flights.daily", "main")
    life.to_production(life.save(make_spec(rows=2)))
    foreign = life.plane.commit("flights.daily")
    plan = plan_rollback(life.ctx, life.as_("lea"), "flights", data=True)
    assert [one.run_id for one in plan.undone if one.snapshot == foreign] == [None]
    with pytest.raises(Conflict, match="consent"):
        rollback_release(life.ctx, life.as_("lea"), "flights", reason="bad", data=True)
    done = rollback_release(life.ctx, life.as_("lea"), "flights", reason="bad", data=True, consent=plan.plan.digest)
    assert (done.state, life.plane.head("flights.daily", "main")) == (State.DONE, before)


def test_l15_a_foreign_write_is_drift_and_blocks_until_a_lead_settles_it(life: Life) -> None:
    life.to_production(life.save())
    second = life.save(make_spec(rows=2))
    life.to_uat(second)
    life.run(second, UAT)
    published = life.plane.head("flights.daily", "main")
    life.plane.commit("flights.daily")
    (drift,) = reconcile(life.ctx, SETUP).drifts
    assert reconcile(life.ctx, SETUP).drifts == ()
    with pytest.raises(Refused, match="has drifted"):
        life.ask(second, PRODUCTION)
    settle_drift(life.ctx, life.as_("lea"), drift.id, "revert", reason="a test write")
    assert life.plane.head("flights.daily", "main") == published
    life.plane.commit("flights.daily")
    (again,) = reconcile(life.ctx, SETUP).drifts
    settle_drift(life.ctx, life.as_("lea"), again.id, "adopt", reason="a repair")
    assert reconcile(life.ctx, SETUP).drifts == ()
    assert life.ask(second, PRODUCTION).state is State.REQUESTED


def test_l15_compaction_is_no_drift(life: Life) -> None:
    life.to_production(life.save())
    life.plane.commit("flights.daily", "main", "replace")
    assert reconcile(life.ctx, SETUP).drifts == ()


def test_l15_what_production_writes_is_no_drift_of_a_branch_that_is_not_there(life: Life) -> None:
    """A session of QA was opened while main was empty, and its run published nothing: QA reads main."""
    version = life.save()
    life.to_qa(version)
    finish_run(life.ctx, DAGSTER, life.begin(version, QA), "flights")
    break_glass(life.ctx, life.as_("lea"), "flights", 1, PRODUCTION, reason="a test begins here")
    life.run(version, PRODUCTION)
    assert reconcile(life.ctx, SETUP).drifts == ()
    life.plane.commit("flights.daily", "qa")
    (drift,) = reconcile(life.ctx, SETUP).drifts
    assert (drift.environment, drift.ref) == (QA, "qa")


def test_l16_a_deleted_name_stays_reserved(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    delete_pipeline(life.ctx, life.as_("lea"), "flights")
    with pytest.raises(Refused, match="stays reserved"):
        life.save(make_spec(rows=2))
    with pytest.raises(NotFound):
        life.to_qa(version)
    assert life.save(make_spec("other", tables=("flights.daily",))).number == 1


def test_l16_what_runs_in_uat_is_not_deleted(life: Life) -> None:
    life.to_uat(life.save())
    with pytest.raises(Refused, match="active in UAT"):
        delete_pipeline(life.ctx, life.as_("lea"), "flights")


def test_l1_retiring_needs_the_consent_of_readers_in_production(life: Life) -> None:
    life.to_production(life.save())
    reader = make_spec("reader").model_dump(mode="json", by_alias=True)
    reader["nodes"] = [
        {"id": "raw", "type": "source", "source": {"kind": "iceberg", "table": "flights.daily"}}
        if node["id"] == "raw" else node
        for node in reader["nodes"]
    ]  # fmt: skip
    from lifecycle.spec import PipelineSpec
    from lifecycle.usecases.break_glass import break_glass

    life.save(PipelineSpec.model_validate(reader))
    break_glass(life.ctx, life.as_("lea"), "reader", 1, PRODUCTION, reason="test")
    with pytest.raises(Refused, match="reader read its tables"):
        retire_version(life.ctx, life.as_("lea"), "flights", 1, reason="old")
    retire_version(life.ctx, life.as_("lea"), "flights", 1, reason="old", consent=True)
    assert life.active(PRODUCTION) is None


def test_l14_a_carried_promotion_is_reported_to_dagster(life: Life) -> None:
    version = life.save()
    done = life.to_production(version)
    release = ReleaseFacts(version=1, digest=version.digest, label=Label.APPROVED, promotion=done.id)
    assert life.dagster.releases == [("flights", {t.table: t.candidate for t in done.plan.tables}, release)]
    assert life.dagster.changed[-1] is PRODUCTION


def test_what_was_production_at_a_past_time(life: Life) -> None:
    life.to_production(life.save())
    then = life.clock.now()
    life.clock.advance(days=1)
    life.to_production(life.save(make_spec(rows=2)))
    with life.store.read() as view:
        assert [view.pipelines.version(one.version_id).number for one in view.deployments.of(PRODUCTION, then)] == [1]
        assert view.deployments.of(PRODUCTION, then - timedelta(days=9)) == ()


def test_l14_how_a_run_ended_is_noted_once_and_is_nobodys_evidence(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)

    def outcome() -> Outcome | None:
        with life.store.read() as view:
            found = view.runs.admission(run_id, view.pipelines.named("flights").id)
            assert found is not None
            return found.outcome

    life.dagster.outcomes[run_id] = Outcome.SUCCEEDED
    assert note_outcomes(life.ctx, SETUP) == (), "it is not over"
    life.dagster.outcomes.clear()
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    reconcile(life.ctx, SETUP)
    assert outcome() is None, "nobody knows"
    life.dagster.outcomes[run_id] = Outcome.SUCCEEDED
    reconcile(life.ctx, SETUP)
    assert outcome() is Outcome.SUCCEEDED
    life.dagster.outcomes[run_id] = Outcome.FAILED
    assert note_outcomes(life.ctx, SETUP) == ()
    assert outcome() is Outcome.SUCCEEDED
    with pytest.raises(Refused, match="nothing was published"):
        life.ask(version, UAT)


def test_who_forgot_how_a_run_ended_is_asked_for_a_day(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    life.clock.advance(hours=25)
    life.dagster.outcomes[run_id] = Outcome.FAILED
    assert note_outcomes(life.ctx, SETUP) == ()


def test_two_who_note_the_same_outcome_at_once_say_it_once(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    whole = life.dagster.run_outcome

    def while_another_notes_it(run: str) -> Outcome | None:
        monkeypatch.setattr(life.dagster, "run_outcome", whole)
        assert note_outcomes(life.ctx, DAGSTER) == (run_id,)
        return whole(run)

    life.dagster.outcomes[run_id] = Outcome.SUCCEEDED
    monkeypatch.setattr(life.dagster, "run_outcome", while_another_notes_it)
    assert note_outcomes(life.ctx, SETUP) == ()
    with life.store.read() as view:
        assert [one.verb for one in view.log.entries()].count("admission.outcome") == 1


def test_a_run_that_ended_silently_has_an_outcome_too(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)
    life.dagster.states[run_id], life.dagster.outcomes[run_id] = RunState.ENDED, Outcome.CANCELLED
    reconcile(life.ctx, SETUP)
    with life.store.read() as view:
        (run,) = view.overview.runs(version.pipeline_id, limit=5)
    assert (run.outcome, run.published) == (Outcome.CANCELLED, 0)


def test_l10_runs_that_ended_silently_are_closed(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    run_id = life.begin(version, QA)
    life.dagster.states[run_id] = RunState.ENDED
    assert reconcile(life.ctx, SETUP).runs == (run_id,)
    assert life.run(version, QA)
