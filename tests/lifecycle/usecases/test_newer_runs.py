"""Runs since the evidence are shown and counted, and a policy may demand that the newest one passed (L3, L5)."""

from __future__ import annotations

import pytest

from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import State
from lifecycle.domain.run import Outcome
from lifecycle.domain.version import Version
from lifecycle.errors import Invalid, Refused
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.newer_runs import runs_since
from lifecycle.usecases.note_outcomes import note_outcomes
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.rollback_release import rollback_release
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.start_run import finish_run, new_session
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec

DEMANDS = Policy(newest_run_passed=True)


def in_uat(life: Life) -> Version:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    return version


def fail(life: Life, version: Version, *tables: int) -> str:
    """A run whose blocking check fails: it publishes only `tables`, usually none."""
    run_id = life.begin(version, UAT)
    with life.store.read() as view:
        names = view.pipelines.tables(version.id)
    for number in tables:
        life.publish(life.publishing(run_id, names[number], UAT, number))
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    return run_id


def planned(life: Life, version: Version):
    return plan_promotion(life.ctx, life.as_("ada"), "flights", version.number, PRODUCTION)


def test_l3_a_failed_run_after_the_evidence_is_in_the_plan_counted_and_not_approved(life: Life) -> None:
    """Finding 5, case F14; failed on 0.1.0."""
    version = in_uat(life)
    before = planned(life, version)
    assert (before.advice.newer_runs.runs, before.advice.warnings) == ((), ())
    failed = fail(life, version)
    after = planned(life, version)
    assert after.plan.digest == before.plan.digest
    assert after.problems == ()
    newer = after.advice.newer_runs
    assert (newer.failed, newer.ended, [(one.run_id, one.result) for one in newer.runs]) == (1, 1, [(failed, "failed")])
    assert after.advice.warnings == (f"1 of 1 run in UAT after this evidence did not pass: {failed} failed",)


def test_l3_a_request_shows_the_runs_since_its_evidence_and_goes_through(life: Life) -> None:
    version = in_uat(life)
    request = life.ask(version, PRODUCTION)
    failed = fail(life, version)
    life.run(version, UAT)
    with life.store.read() as view:
        newer = runs_since(view, view.promotions.get(request.id))
    assert [(one.run_id == failed, one.result) for one in newer.runs] == [(True, "failed"), (False, "passed")]
    assert (newer.failed, newer.ended) == (1, 2)
    assert life.approve(request).state is State.DONE


def test_d8_a_run_that_published_one_table_of_two_did_not_pass(life: Life) -> None:
    version = in_uat(life)
    failed = fail(life, version, 0)
    newer = planned(life, version).advice.newer_runs
    assert [(one.run_id, one.result) for one in newer.runs] == [(failed, "failed")]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.CANCELLED])
def test_l14_what_the_orchestrator_says_counts_against_a_run_and_never_for_one(life: Life, outcome: Outcome) -> None:
    version = in_uat(life)
    everything, nothing = fail(life, version, 0, 1), fail(life, version)
    life.dagster.outcomes = {everything: outcome, nothing: Outcome.SUCCEEDED}
    note_outcomes(life.ctx, SETUP)
    newer = planned(life, version).advice.newer_runs
    # Of the first, what it published is evidence all the same: the session's head.
    assert [(one.run_id, one.result) for one in newer.runs] == [(everything, outcome.value), (nothing, "incomplete")]
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, None, DEMANDS)
    with pytest.raises(Refused, match=rf"{nothing}, published only some of the tables"):
        life.ask(version, PRODUCTION)


def test_l3_a_running_run_is_listed_and_not_counted(life: Life) -> None:
    version = in_uat(life)
    running = life.begin(version, UAT)
    newer = planned(life, version).advice.newer_runs
    assert [(one.run_id, one.result) for one in newer.runs] == [(running, "running")]
    assert (newer.failed, newer.ended, newer.warning) == (0, 0, "")


def test_l5_a_reexecution_that_publishes_the_rest_makes_the_run_pass(life: Life) -> None:
    version = in_uat(life)
    root = fail(life, version, 0)
    again = life.begin(version, UAT, run_key=root)
    life.publish(life.publishing(again, "flights.late", UAT, 1))
    finish_run(life.ctx, DAGSTER, again, "flights")
    # The whole of it is the newest evidence now.
    assert planned(life, version).advice.newer_runs.runs == ()


def test_l3_a_policy_may_demand_that_the_newest_run_passed(life: Life) -> None:
    """Finding 5; failed on 0.1.0."""
    version = in_uat(life)
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, None, DEMANDS)
    assert "the newest run in UAT passed" in [one.text for one in planned(life, version).checks if one.ok]
    failed = fail(life, version)
    with pytest.raises(Refused, match=rf"the newest run in UAT, {failed}, failed, .*: run the pipeline in UAT again"):
        life.ask(version, PRODUCTION)
    life.run(version, UAT)
    assert life.approve(life.ask(version, PRODUCTION)).state is State.DONE


def test_l3_it_is_asked_again_at_execution(life: Life) -> None:
    version = in_uat(life)
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, None, DEMANDS)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="wait")
    request = life.approve(life.ask(version, PRODUCTION))
    failed = fail(life, version)
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    stale = execute_promotion(life.ctx, SETUP, request.id).promotion
    assert (stale.state, failed in stale.outcome) == (State.STALE, True)
    assert life.active_number(PRODUCTION) is None


def test_l3_a_failure_in_a_later_session_counts_too(life: Life) -> None:
    version = in_uat(life)
    request = life.ask(version, PRODUCTION)
    new_session(life.ctx, life.as_("ada"), "flights", UAT)
    failed = fail(life, version)
    with life.store.read() as view:
        newer = runs_since(view, view.promotions.get(request.id))
    assert [one.run_id for one in newer.runs] == [failed]


def test_l3_runs_of_another_version_say_nothing_about_this_one(life: Life) -> None:
    version = in_uat(life)
    request = life.ask(version, PRODUCTION)
    second = life.save(make_spec(rows=2))
    life.to_qa(second)
    life.run(second, QA)
    fail_in_qa = life.begin(second, QA)
    finish_run(life.ctx, DAGSTER, fail_in_qa, "flights")
    with life.store.read() as view:
        assert runs_since(view, view.promotions.get(request.id)).runs == ()


def test_l1_after_a_rollback_the_plan_does_not_say_that_nothing_ran(life: Life) -> None:
    """Finding 5; failed on 0.1.0, which said "nothing ran in UAT yet"."""
    life.to_production(life.save())
    second = life.save(make_spec(rows=2))
    life.to_production(second)
    rollback_release(life.ctx, life.as_("lea"), "flights", reason="late flights are missing")
    with pytest.raises(Refused, match=r"earlier runs in UAT no longer count as evidence.*: run the pipeline in UAT"):
        life.ask(second, PRODUCTION)
    failed = life.begin(second, UAT)
    finish_run(life.ctx, DAGSTER, failed, "flights")
    drafted = planned(life, second)
    assert [one.run_id for one in drafted.advice.newer_runs.runs] == [failed]


def test_a_policy_of_qa_does_not_take_it(life: Life) -> None:
    with pytest.raises(Invalid, match="newest_run_passed"):
        set_policy(life.ctx, life.as_("adam"), QA, None, DEMANDS)
