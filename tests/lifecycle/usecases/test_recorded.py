"""What is recorded is answered as recorded: what follows it may fail, and is done later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import Promotion, State
from lifecycle.errors import Conflict, NotFound, Unavailable
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.demote_version import demote_version
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.grant_permit import grant_permit
from lifecycle.usecases.reject_promotion import reject_promotion
from lifecycle.usecases.request_promotion import request_promotion
from lifecycle.usecases.retire_version import retire_version
from lifecycle.usecases.rollback_release import rollback_release
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.tick import tick
from lifecycle.usecases.withdraw_promotion import withdraw_promotion
from tests.lifecycle.app.test_notifications import tell_to
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec

ERRORS = [Unavailable("the catalog is down"), NotFound("flights.daily is gone"), KeyError("a bug")]
Mend = Callable[[], None]


def breaks(monkeypatch: pytest.MonkeyPatch, port: Any, name: str, error: Exception) -> Mend:
    real = getattr(port, name)

    def call(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(port, name, call)
    return lambda: monkeypatch.setattr(port, name, real)


def asked_for_production(life: Life) -> Promotion:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    return life.ask(version, PRODUCTION)


@pytest.mark.parametrize("error", ERRORS)
def test_l8_a_promotion_that_is_done_is_answered_as_done_though_its_tags_stay(
    life: Life, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Finding 19; failed on 0.1.0: the approver got the catalog's error for a release that was out."""
    asked = asked_for_production(life)
    mend = breaks(monkeypatch, life.plane, "unpin", error)
    done = life.approve(asked)
    assert (done.state, done.waiting) == (State.DONE, "")
    assert life.active_number(PRODUCTION) == 1
    mend()
    tick(life.ctx, SETUP)
    assert f"drls-candidate-{asked.id}" not in life.plane.tags("flights.daily")


@pytest.mark.parametrize("name", ["released", "deployments_changed"])
def test_l14_a_promotion_that_dagster_is_not_told_of_is_done(
    life: Life, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Finding 19; failed on 0.1.0."""
    asked = asked_for_production(life)
    breaks(monkeypatch, life.dagster, name, RuntimeError("Dagster is being upgraded"))
    assert life.approve(asked).state is State.DONE


def test_l8_an_approval_that_cannot_be_executed_now_says_what_it_waits_for(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 19; failed on 0.1.0: 409 for an approval that was recorded."""
    first = asked_for_production(life)
    monkeypatch.setattr(life.plane, "move", lambda *_: (_ for _ in ()).throw(ConnectionError("no answer")))
    assert life.approve(first).state is State.FAILED
    monkeypatch.undo()
    second = life.save(make_spec(rows=2))
    life.to_qa(second)
    life.run(second, QA)
    asked = life.ask(second, UAT)
    approved = life.approve(asked)
    assert approved.state is State.APPROVED
    assert approved.waiting == (
        f"request {first.id} (flights to production) is failed: wait for it to finish, or resume it, first"
    )
    assert life.approve(asked).waiting == approved.waiting
    assert execute_promotion(life.ctx, SETUP, first.id).promotion.state is State.DONE
    assert tick(life.ctx, SETUP).executed == (asked.id,)


@pytest.mark.parametrize("error", ERRORS)
def test_l11_permits_that_cannot_be_settled_leave_the_approved_request_to_be_resumed(
    life: Life, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Finding 19; failed on 0.1.0: the request stayed "executing", and the approver got the catalog's error."""
    first = life.save()
    life.to_production(first)
    second = life.save(make_spec(rows=2))
    life.to_uat(second)
    life.run(second, UAT)
    asked = life.ask(second, PRODUCTION)
    publishing = life.publishing(life.begin(first, PRODUCTION), "flights.daily", PRODUCTION)
    grant_permit(life.ctx, DAGSTER, publishing)
    life.clock.advance(minutes=9)
    mend = breaks(monkeypatch, life.plane, "snapshots", error)
    assert life.approve(asked).state is State.FAILED
    mend()
    assert tick(life.ctx, SETUP).executed == (asked.id,)


def test_a_defect_while_it_executes_is_named_as_one_and_the_request_can_be_resumed(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 18; on 0.1.0 it read like an answer of the catalog."""
    asked = asked_for_production(life)
    mend = breaks(monkeypatch, life.plane, "move", KeyError("ref"))
    failed = life.approve(asked)
    assert (failed.state, failed.outcome) == (
        State.FAILED,
        "a bug in DRLS (KeyError: 'ref'); see the log for details",
    )
    mend()
    assert tick(life.ctx, SETUP).executed == (asked.id,)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("verb", [reject_promotion, withdraw_promotion])
def test_l8_a_request_that_is_over_is_answered_as_over_though_its_tags_stay(
    life: Life, monkeypatch: pytest.MonkeyPatch, verb: Callable[..., Promotion], error: Exception
) -> None:
    """Finding 19; failed on 0.1.0."""
    asked = asked_for_production(life)
    breaks(monkeypatch, life.plane, "unpin", error)
    given = (asked.plan_digest,) if verb is reject_promotion else ()
    assert verb(life.ctx, life.as_("lea"), asked.id, *given, reason="no").state.is_terminal


@pytest.mark.parametrize("error", ERRORS)
def test_l3_a_request_whose_candidates_could_not_be_pinned_yet_is_there(
    life: Life, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Finding 19; failed on 0.1.0: the request was there, and whoever made it got an error."""
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    mend = breaks(monkeypatch, life.plane, "pin", error)
    asked = request_promotion(life.ctx, life.as_("ada"), "flights", 1, PRODUCTION)
    assert asked.state is State.REQUESTED
    assert [one.item for one in tick(life.ctx, SETUP).troubles] == [f"promotion:{asked.id}"]
    mend()
    tick(life.ctx, SETUP)
    assert f"drls-candidate-{asked.id}" in life.plane.tags("flights.daily")


@pytest.mark.parametrize("verb", ["rollback", "break the glass"])
def test_an_act_that_a_sensor_executes_at_the_same_moment_is_recorded(
    life: Life, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Finding 19; failed on 0.1.0: 409 for a rollback that was under way."""
    life.to_production(life.save())
    life.to_production(life.save(make_spec(rows=2)))
    from lifecycle.usecases import execute_promotion as module

    def taken(*_: Any) -> Any:
        raise Conflict("request 7 being executed by another; wait until it finishes")

    monkeypatch.setattr(module, "begin", taken)
    if verb == "rollback":
        done = rollback_release(life.ctx, life.as_("lea"), "flights", reason="bad")
    else:
        done = break_glass(life.ctx, life.as_("lea"), "flights", 1, PRODUCTION, reason="down")
    assert (done.state, done.waiting) == (
        State.APPROVED,
        "request 7 being executed by another; wait until it finishes",
    )
    monkeypatch.undo()
    assert tick(life.ctx, SETUP).executed == (done.id,)


def test_what_dagster_is_not_told_of_is_done(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding 19; failed on 0.1.0: a save, a demotion, a retirement and a policy were answered with an error."""
    life.to_production(life.save())
    breaks(monkeypatch, life.dagster, "deployments_changed", RuntimeError("no answer"))
    assert life.save(make_spec(rows=2)).number == 2
    assert demote_version(life.ctx, life.as_("lea"), "flights", 1, reason="wrong").environment is UAT
    assert retire_version(life.ctx, life.as_("lea"), "flights", 1, reason="old").environment is PRODUCTION
    assert set_policy(life.ctx, life.as_("adam"), Environment.UAT, "flights", Policy()).body is not None


def test_a_request_that_fails_at_every_try_is_told_once(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding 16: as long as a catalog is down, its people get one message, not one every ten seconds."""
    tell_to(life, "http://127.0.0.1:9/dead", events=("promotion.failed",))
    asked = asked_for_production(life)
    breaks(monkeypatch, life.plane, "move", Unavailable("the catalog is down"))
    life.approve(asked)
    for _ in range(3):
        tick(life.ctx, SETUP)
    with life.store.read() as view:
        assert len(view.log.search(verb="promotion.failed")) == 4
        assert len(view.outbox.undelivered()) == 1
    breaks(monkeypatch, life.plane, "move", Unavailable("the password is wrong"))
    tick(life.ctx, SETUP)
    with life.store.read() as view:
        assert len(view.outbox.undelivered()) == 2
