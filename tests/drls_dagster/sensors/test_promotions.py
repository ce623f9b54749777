"""The promotions sensor: what was interrupted goes on, and a policy's run after a promotion is asked for once."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import dagster as dg
import pytest

from drls_dagster.errors import DrlsError, UsageError
from drls_dagster.lifecycle_client.notifying import sender_of
from drls_dagster.sensors.evidence import ask_evidence
from drls_dagster.sensors.promotions import carry_on, tell_people
from drls_dagster.sensors.steady import Background, ItemsFailed, steady
from drls_dagster.settings import load_settings
from drls_dagster.tags import REASON_TAG
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import State
from lifecycle.errors import Conflict, Refused, StoreError, Unavailable
from lifecycle.ports import Notifier
from lifecycle.usecases.admit_run import admit_run
from lifecycle.usecases.set_policy import set_policy
from tests.lifecycle.app.test_notifications import tell_to
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, UAT, Life, make_spec


@dg.op
def nothing() -> None:
    pass


@dg.job
def flights() -> None:
    nothing()


def test_an_execution_that_the_catalog_broke_off_is_resumed(life: Life, instance: dg.DagsterInstance) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    asked = life.ask(version, PRODUCTION)
    life.plane.say("unreachable", True)
    assert life.approve(asked).state is State.FAILED
    life.plane.say("unreachable", False)
    assert carry_on(life.ctx) == "executed 1"
    assert life.active_number(PRODUCTION) == 1


def test_messages_are_sent_and_a_dead_receiver_is_asked_again_later(life: Life, instance: dg.DagsterInstance) -> None:
    tell_to(life, "http://127.0.0.1:9/dead", events=("promotion.requested",))
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    life.ask(version, UAT)
    sender = sender_of(load_settings())
    # The requests for QA and for UAT: a receiver that just failed is asked once in a round.
    told = [tell_people(life.ctx, lambda: instance, lambda: sender) for _ in range(3)]
    assert told == ["1 messages are waiting for their receivers"] * 2 + ["nothing due"]
    key = load_settings().home / "webhook-secret"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_text().strip()) == 64


def test_a_request_that_nobody_decided_expires_and_its_approvers_were_reminded(
    life: Life, instance: dg.DagsterInstance
) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    life.ask(version, UAT)
    life.clock.advance(days=2)
    told = lambda: tell_people(life.ctx, lambda: instance, lambda: sender_of(load_settings()))  # noqa: E731
    assert [told(), told()] == ["sent reminders for 1", "nothing due"]
    life.clock.advance(days=6)
    assert told() == "expired 1"


def _launched(instance: dg.DagsterInstance, reason: str, status: dg.DagsterRunStatus) -> str:
    return instance.create_run_for_job(flights, tags={REASON_TAG: reason}, status=status).run_id


def test_the_run_after_a_promotion_is_asked_for_until_it_is_admitted(life: Life, instance: dg.DagsterInstance) -> None:
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(on_promote="run"))
    version = life.save()
    life.to_uat(version)
    assert ask_evidence(life.ctx, instance, settled_for=timedelta(minutes=1)) == []
    assert ask_evidence(life.ctx, instance) == ["flights"]
    active = life.active(UAT)
    assert active is not None
    reason = f"promoted: deployment {active.id}"
    _launched(instance, reason, dg.DagsterRunStatus.FAILURE)
    assert ask_evidence(life.ctx, instance) == ["flights"]
    run_id = _launched(instance, reason, dg.DagsterRunStatus.STARTED)
    assert ask_evidence(life.ctx, instance) == []
    admit_run(life.ctx, DAGSTER, run_id, name="flights", digest=version.digest, environment=UAT)
    assert ask_evidence(life.ctx, instance) == []
    assert life.dagster.launched == [(UAT, "flights")] * 2


def test_the_run_after_a_promotion_is_refused_three_times_at_most(life: Life, instance: dg.DagsterInstance) -> None:
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(on_promote="run"))
    life.to_uat(life.save())
    active = life.active(UAT)
    assert active is not None
    for _ in range(3):
        assert ask_evidence(life.ctx, instance) == ["flights"]
        _launched(instance, f"promoted: deployment {active.id}", dg.DagsterRunStatus.FAILURE)
    assert ask_evidence(life.ctx, instance) == []


def test_a_policy_asks_for_no_run_of_what_was_deployed_before_it(life: Life, instance: dg.DagsterInstance) -> None:
    life.to_uat(life.save())
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(on_promote="run"))
    assert ask_evidence(life.ctx, instance) == []


def test_long_work_does_not_hold_a_tick_and_its_failure_is_told_by_the_next(instance: dg.DagsterInstance) -> None:
    go = threading.Event()

    def work() -> str:
        assert go.wait(30)
        raise StoreError("the store was busy")

    background = Background(work)
    sensor = steady("one", lambda _: dg.SkipReason(background.tick()), seconds=5, description="")

    def tick() -> str:
        return sensor.evaluate_tick(dg.build_sensor_context(instance)).skip_message or ""

    began = time.monotonic()
    assert [tick(), tick()] == ["started", "still working"]
    assert time.monotonic() - began < 5
    go.set()
    background.wait(30)
    assert tick() == "the store was busy; trying again"
    background.wait(30)


def test_a_defect_is_no_outage(instance: dg.DagsterInstance) -> None:
    sensor = steady("one", lambda _: {}["missing"], seconds=5, description="")
    with pytest.raises(Exception, match="missing"):
        sensor.evaluate_tick(dg.build_sensor_context(instance))


@pytest.mark.parametrize("error", [Refused("flights is stopped"), Conflict("somebody was first")])
def test_a_refusal_is_told_as_one(instance: dg.DagsterInstance, error: Exception) -> None:
    """Finding 18; on 0.1.0 the sensor said "trying again"."""
    sensor = steady("one", lambda _: (_ for _ in ()).throw(error), seconds=5, description="")
    told = sensor.evaluate_tick(dg.build_sensor_context(instance)).skip_message
    assert told == f"refused: {error}"


@pytest.mark.parametrize("error", [UsageError("notify.smtp_password: no such file"), DrlsError("out of order")])
def test_a_wrong_setting_fails_the_tick(instance: dg.DagsterInstance, error: Exception) -> None:
    """Finding 18; on 0.1.0 the tick was skipped, and tried again for ever."""
    sensor = steady("one", lambda _: (_ for _ in ()).throw(error), seconds=5, description="")
    with pytest.raises(Exception, match=str(error)):
        sensor.evaluate_tick(dg.build_sensor_context(instance))


def test_a_request_that_cannot_be_handled_fails_the_tick_when_the_others_were(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 16; on 0.1.0 nothing else was done, and the tick was shown as skipped."""
    broken = life.save()
    life.to_qa(broken)
    life.run(broken, QA)
    asked = life.ask(broken, UAT)
    life.approve(asked)
    life.run(broken, UAT)
    asked = life.ask(broken, PRODUCTION)
    monkeypatch.setattr(life.plane, "pin", lambda *_: {}["missing"])
    with pytest.raises(ItemsFailed, match=rf"promotion {asked.id}: pinning its candidates failed: a bug in DRLS"):
        carry_on(life.ctx)


def test_a_wrong_setting_of_messages_holds_up_no_expiry_and_shows(life: Life, instance: dg.DagsterInstance) -> None:
    """Finding 16; on 0.1.0 it stopped execution, expiry and reminders as well."""
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    life.ask(version, UAT)
    life.clock.advance(days=8)

    def wrong() -> Notifier:
        raise UsageError("notify.smtp_password: no such file")

    with life.store.read() as view:
        before = len(view.promotions.list(states=[State.EXPIRED]))
    told = tell_people(life.ctx, lambda: instance, wrong)
    assert told == "expired 1; settings notify: sending messages failed: notify.smtp_password: no such file"
    with life.store.read() as view:
        assert len(view.promotions.list(states=[State.EXPIRED])) == before + 1


def test_a_pipeline_whose_first_run_fails_holds_up_no_other(life: Life, instance: dg.DagsterInstance) -> None:
    """Finding 16; on 0.1.0 an error that is no refusal ended the round."""
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(on_promote="run"))
    for name in ("flights", "trips"):
        version = life.save(make_spec(name))
        life.to_qa(version, name)
        life.run(version, QA, name)
        life.approve(life.ask(version, UAT, name=name))
    real = life.dagster.launch

    def launch(environment: Environment, pipeline: str, reason: str) -> None:
        if pipeline == "flights":
            raise Unavailable("drls up did not answer")
        real(environment, pipeline, reason)

    life.dagster.launch = launch  # type: ignore[method-assign]
    assert ask_evidence(life.ctx, instance) == ["trips"]
