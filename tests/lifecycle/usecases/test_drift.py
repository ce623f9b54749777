"""Drift (L15): what reconcile finds and what it does not, and adopting and reverting it beside others."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from lifecycle.domain.promotion import State
from lifecycle.domain.run import Drift
from lifecycle.errors import Conflict, LifecycleError, Refused
from lifecycle.ports import Move, MoveResult
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.rollback_release import plan_rollback, rollback_release
from lifecycle.usecases.settle_drift import How, plan_settlement, settle_drift
from tests.lifecycle.life import PRODUCTION, SETUP, UAT, Life, make_spec

DAILY = "flights.daily"


def found(life: Life) -> tuple[Drift, ...]:
    return reconcile(life.ctx, SETUP).drifts


def published(life: Life, times: int = 2) -> list[int]:
    """A version in production whose runs published so often; the snapshots."""
    version = life.save()
    life.to_production(version)
    for _ in range(times):
        life.run(version, PRODUCTION)
    with life.store.read() as view:
        return [one.snapshot for one in view.runs.receipts_on(DAILY, PRODUCTION)]


def settle(life: Life, drift: Drift, how: How, by: str = "lea") -> str:
    return settle_drift(life.ctx, life.as_(by), drift.id, how, reason="agreed").state


def at_each_move(life: Life, monkeypatch: pytest.MonkeyPatch, doing: Callable[[], object], *, before: bool) -> None:
    """Something happens right before or after each compare-and-set."""
    real = life.plane.move

    def move(wanted: Move, environment: object) -> MoveResult:
        if before:
            doing()
        result = real(wanted, PRODUCTION)
        if not before:
            doing()
        return result

    monkeypatch.setattr(life.plane, "move", move)


def test_l12_a_promotion_that_executes_is_no_drift(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    published(life)
    second = life.save(make_spec(rows=2))
    life.to_uat(second)
    life.run(second, UAT)
    request = life.ask(second, PRODUCTION)
    at_each_move(life, monkeypatch, lambda: found(life), before=False)
    assert life.approve(request).state is State.DONE
    plan = plan_rollback(life.ctx, life.as_("lea"), "flights", data=True).plan
    done = rollback_release(life.ctx, life.as_("lea"), "flights", reason="x", data=True, consent=plan.digest)
    assert done.state is State.DONE
    with life.store.read() as view:
        assert view.runs.open_drifts() == ()
    assert found(life) == ()


def test_l15_maintenance_and_expiry_are_no_drift(life: Life) -> None:
    snapshots = published(life)
    compacted = [life.compact(DAILY) for _ in range(2)]
    assert found(life) == ()
    life.plane.expire(DAILY, [*snapshots, compacted[0]])
    assert life.plane.head(DAILY, "main") == compacted[1]
    assert found(life) == ()


@pytest.mark.parametrize("how", ["adopt", "revert"])
def test_l15_a_ref_that_was_moved_back_is_drift(life: Life, how: How) -> None:
    snapshots = published(life)
    life.plane.set_ref(DAILY, "main", snapshots[0])
    (drift,) = found(life)
    assert found(life) == ()
    assert (drift.found, plan_settlement(life.ctx, life.as_("lea"), drift.id).is_older) == (snapshots[0], True)
    settle(life, drift, how)
    assert life.plane.head(DAILY, "main") == (snapshots[0] if how == "adopt" else snapshots[-1])
    assert found(life) == ()
    life.run(life.save(), PRODUCTION)
    assert found(life) == ()


def test_l15_a_ref_that_is_gone_is_drift_which_can_only_be_adopted(life: Life) -> None:
    published(life)
    life.plane.set_ref(DAILY, "main", None)
    (drift,) = found(life)
    assert (drift.found, found(life)) == (None, ())
    with pytest.raises(Refused, match="or its ref main no longer exists: restore it, or adopt the drift"):
        settle(life, drift, "revert")
    settle(life, drift, "adopt")
    assert found(life) == ()
    life.run(life.save(), PRODUCTION)
    assert found(life) == ()


def test_l15_a_revert_goes_back_to_what_was_adopted_last(life: Life) -> None:
    published(life)
    agreed = life.plane.commit(DAILY)
    settle(life, found(life)[0], "adopt")
    life.plane.commit(DAILY)
    settle(life, found(life)[0], "revert")
    assert life.plane.head(DAILY, "main") == agreed
    assert found(life) == ()


def test_l15_an_older_drift_is_settled_with_the_newer_one_in_either_way(life: Life) -> None:
    snapshots = published(life)
    life.plane.commit(DAILY)
    (first,) = found(life)
    life.plane.commit(DAILY)
    (second,) = found(life)
    settle(life, second, "revert")
    assert [check.text for check in plan_settlement(life.ctx, life.as_("lea"), first.id).revert][-1] == (
        f"{DAILY} is already back there"
    )
    assert settle(life, first, "revert") == "reverted"
    assert life.plane.head(DAILY, "main") == snapshots[-1]


@pytest.mark.parametrize("top", ["published", "adopted"])
def test_l15_what_others_built_on_is_not_called_reverted(life: Life, top: str) -> None:
    published(life)
    life.plane.commit(DAILY)
    (drift,) = found(life)
    if top == "published":
        life.run(life.save(), PRODUCTION)
    else:
        life.plane.commit(DAILY)
        settle(life, found(life)[0], "adopt")
    head = life.plane.head(DAILY, "main")
    with pytest.raises(
        Refused, match="has since been published or adopted on top of it; adopt the drift, or roll back"
    ):
        settle(life, drift, "revert")
    assert life.plane.head(DAILY, "main") == head
    assert settle(life, drift, "adopt") == "adopted"


def test_l15_a_snapshot_that_was_expired_is_nothing_to_go_back_to(life: Life) -> None:
    snapshots = published(life)
    life.plane.commit(DAILY)
    (drift,) = found(life)
    life.plane.expire(DAILY, snapshots)
    with pytest.raises(Refused, match=f"{DAILY} no longer has snapshot {snapshots[-1]}; adopt the drift"):
        settle(life, drift, "revert")


def test_l15_of_two_who_settle_a_drift_at_once_one_does(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who adopts while a revert moves the table finds it reverted: no table goes back that somebody adopted."""
    snapshots = published(life)
    life.plane.commit(DAILY)
    (drift,) = found(life)
    said: list[str] = []

    def adopt() -> None:
        try:
            said.append(settle(life, drift, "adopt", by="leo"))
        except LifecycleError as error:
            said.append(type(error).__name__)

    beside = threading.Thread(target=adopt)

    def begin() -> None:
        beside.start()
        beside.join(timeout=1)

    at_each_move(life, monkeypatch, begin, before=True)
    assert settle(life, drift, "revert") == "reverted"
    beside.join()
    assert said == [Conflict.__name__]
    assert life.plane.head(DAILY, "main") == snapshots[-1]
