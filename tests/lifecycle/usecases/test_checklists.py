"""What refuses is what is shown: every verb raises the first line of its checklist that is not fulfilled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.domain.checklist import Check, fulfilled, refuse
from lifecycle.domain.people import Actor
from lifecycle.domain.planning import Planning
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State
from lifecycle.domain.run import AdmissionState
from lifecycle.errors import Conflict, Forbidden, LifecycleError, Refused
from lifecycle.usecases.break_glass import break_glass, plan_break_glass
from lifecycle.usecases.demote_version import demote_version, plan_demotion
from lifecycle.usecases.holding import plan_hold, set_hold
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.retire_version import plan_retirement, retire_version
from lifecycle.usecases.rollback_release import preview_rollback, rollback_release
from lifecycle.usecases.settle_drift import plan_settlement, settle_drift
from lifecycle.usecases.start_run import new_session, plan_session
from tests.lifecycle.life import DAGSTER, DEVELOPMENT, PRODUCTION, QA, UAT, Life, make_spec

Shown = Callable[[Life, Actor], tuple[Check, ...]]
Done = Callable[[Life, Actor], Any]
VERBS: dict[str, tuple[Shown, Done]] = {
    "demote": (
        lambda life, who: plan_demotion(life.ctx, who, "flights", 1).checks,
        lambda life, who: demote_version(life.ctx, who, "flights", 1, reason="x"),
    ),
    "retire": (
        lambda life, who: plan_retirement(life.ctx, who, "flights", 1).checks,
        lambda life, who: retire_version(life.ctx, who, "flights", 1, reason="x", consent=True),
    ),
    "roll back": (
        lambda life, who: preview_rollback(life.ctx, who, "flights").checks,
        lambda life, who: rollback_release(life.ctx, who, "flights", reason="x"),
    ),
    "break the glass": (
        lambda life, who: plan_break_glass(life.ctx, who, "flights", 1, PRODUCTION).checks,
        lambda life, who: break_glass(life.ctx, who, "flights", 1, PRODUCTION, reason="x"),
    ),
    "new session": (
        lambda life, who: plan_session(life.ctx, who, "flights", UAT).checks,
        lambda life, who: new_session(life.ctx, who, "flights", UAT),
    ),
    "stop": (
        lambda life, who: plan_hold(life.ctx, who, HoldKind.STOP, QA, "flights").checks,
        lambda life, who: set_hold(life.ctx, who, HoldKind.STOP, QA, "flights", reason="x"),
    ),
}


def saved(life: Life) -> None:
    life.save()


def in_uat(life: Life) -> None:
    life.to_uat(life.save())


def in_production(life: Life) -> None:
    life.to_production(life.save())


def released_twice(life: Life) -> None:
    in_production(life)
    life.to_production(life.save(make_spec(rows=2), on=1), by="leo")


def frozen(life: Life) -> None:
    in_production(life)
    for environment in (UAT, PRODUCTION):
        set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, environment, None, reason="quarter end")


def half_executed(life: Life) -> None:
    """The catalog went away in the middle: the request can be resumed, and everything else has to wait."""
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    request = life.ask(version, PRODUCTION)
    life.plane.say("unreachable", True)
    assert life.approve(request).state is State.FAILED


@pytest.mark.parametrize("world", [saved, in_uat, in_production, released_twice, frozen, half_executed])
def test_each_verb_refuses_what_its_checklist_shows_and_nothing_else(life: Life, world: Callable[[Life], None]) -> None:
    world(life)
    for name in ("vic", "ada", "bot", "lea"):
        who = life.as_(name)
        for verb, (shown, done) in VERBS.items():
            checks = shown(life, who)
            try:
                done(life, who)
            except LifecycleError as error:
                missing = [check for check in checks if not check.ok]
                assert missing, (verb, name, error.message)
                assert (error.message, type(error)) == (missing[0].text, missing[0].error), (verb, name)
            else:
                assert fulfilled(checks), (verb, name, checks)


@pytest.mark.parametrize("how", ["adopt", "revert"])
@pytest.mark.parametrize("again", [False, True])
def test_l15_settling_drift_refuses_what_its_checklist_shows(life: Life, how: Any, again: bool) -> None:
    in_production(life)
    life.plane.commit("flights.daily")
    drift = reconcile(life.ctx, DAGSTER).drifts[0]
    if again:
        life.plane.commit("flights.daily")
    # The last one finds it settled.
    for name in ("vic", "ada", "lea", "leo"):
        who = life.as_(name)
        plan = plan_settlement(life.ctx, who, drift.id)
        checks = plan.adopt if how == "adopt" else plan.revert
        try:
            settle_drift(life.ctx, who, drift.id, how, reason="x")
        except LifecycleError as error:
            missing = [check for check in checks if not check.ok]
            assert (error.message, type(error)) == (missing[0].text, missing[0].error), name
        else:
            assert fulfilled(checks), name


def test_what_a_demotion_announces_is_what_it_does(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    request = life.ask(version, PRODUCTION)
    run_id = life.begin(version, UAT)
    in_qa = life.begin(version, QA)
    plan = plan_demotion(life.ctx, life.as_("lea"), "flights", 1)
    assert [one.id for one in plan.ending.requests] == [request.id]
    assert [one.run_id for one in plan.ending.revoked.runs] == [run_id]
    demote_version(life.ctx, life.as_("lea"), "flights", 1, reason="wrong")
    assert life.promotion(request.id).state is State.WITHDRAWN
    with life.store.read() as view:
        pipeline = view.pipelines.named("flights").id
        states = {one: view.runs.admission(one, pipeline) for one in (run_id, in_qa)}
    assert {one: found and found.state for one, found in states.items()} == {
        run_id: AdmissionState.REVOKED,
        in_qa: AdmissionState.RUNNING,
    }


def test_a_stop_announces_the_runs_that_it_revokes(life: Life) -> None:
    version = life.save()
    run_id = life.begin(version, DEVELOPMENT)
    life.begin(life.save(make_spec("other")), DEVELOPMENT, name="other")
    plan = plan_hold(life.ctx, life.as_("lea"), HoldKind.STOP, DEVELOPMENT, "flights")
    assert [one.run_id for one in plan.stopped.runs] == [run_id]
    everything = plan_hold(life.ctx, life.as_("lea"), HoldKind.STOP, DEVELOPMENT, None)
    assert len(everything.stopped.runs) == 2
    set_hold(life.ctx, life.as_("lea"), HoldKind.STOP, DEVELOPMENT, None, reason="x")
    with life.store.read() as view:
        assert view.runs.live_admissions() == ()


def test_the_first_line_that_is_missing_is_raised_as_what_it_is() -> None:
    lines = (Check(True, "fine"), Check(False, "not yours", Forbidden), Check(False, "not now", Conflict))
    assert not fulfilled(lines)
    with pytest.raises(Forbidden, match="not yours"):
        refuse(lines)
    with pytest.raises(Refused, match="simply no"):
        refuse([Check(False, "simply no")])
    refuse(lines[:1])
    ok, text = lines[0]
    assert (ok, text) == (True, "fine")


def test_the_checklist_of_a_promotion_reads_the_same_here_and_over_rest(life: Life) -> None:
    life.save()
    here = plan_promotion(life.ctx, life.as_("ada"), "flights", 1, UAT)
    there = Planning.model_validate_json(here.model_dump_json())
    assert there.checks == here.checks
    assert not fulfilled(there.checks)
    assert tuple(text for ok, text in there.checks if not ok) == here.problems
