"""A catalog that hangs holds up whoever waits for it, and nobody else: no transaction is open meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from lifecycle.domain.policy import Policy
from lifecycle.domain.promotion import State
from lifecycle.domain.run import Drift
from lifecycle.errors import Conflict, LifecycleError, Refused, Unavailable
from lifecycle.usecases.admit_run import admit_run
from lifecycle.usecases.approve_promotion import approve_promotion
from lifecycle.usecases.grant_permit import grant_permit, record_receipt, release_permit
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.rollback_release import plan_rollback, preview_rollback, rollback_release
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.settle_drift import plan_settlement, settle_drift
from lifecycle.usecases.start_run import start_run
from lifecycle.usecases.tick import tick
from tests.fakes.apart import InsideOfTransaction
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec

DAILY = "flights.daily"
# How long the catalog would hang if nothing let it go: longer than the store waits for a lock.
HANGS = 60


class Hanging:
    """The next call of the catalog, of whatever kind, does not come back until `go` is set."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.go.wait(HANGS)


@contextmanager
def hanging(life: Life, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> Generator[list[object]]:
    """`act` waits for the catalog in a thread; what it answered is in the list at the end."""
    hang = Hanging()
    answers: list[object] = []

    def work() -> None:
        try:
            answers.append(act())
        except LifecycleError as error:
            answers.append(error)

    waiting = threading.Thread(target=work)
    with monkeypatch.context() as patched:
        for name in ("table", "snapshots", "is_on_main", "move", "open_session", "pin", "unpin", "drop_columns"):
            real = getattr(life.plane, name)

            def call(*given: Any, real: Any = real) -> Any:
                # Only the one who asks first hangs: each thread has its own connection to a catalog.
                if threading.current_thread() is waiting and not hang.go.is_set():
                    hang()
                return real(*given)

            patched.setattr(life.plane, name, call)
        waiting.start()
        assert hang.reached.wait(HANGS), "the catalog was not asked"
        try:
            yield answers
        finally:
            hang.go.set()
            waiting.join(HANGS)
    assert not waiting.is_alive()


Beside = Callable[[], None]


@pytest.fixture
def beside(life: Life) -> Beside:
    """An approval, an admission, the start of a run and a permit, of a pipeline of others."""
    set_policy(life.ctx, life.as_("adam"), UAT, None, Policy(quorum="2 LeadDataEngineer"))
    version = life.save(make_spec("trips"))
    life.to_qa(version, "trips")
    life.run(version, QA, "trips")
    asked = life.ask(version, UAT, name="trips")

    def act() -> None:
        approved = approve_promotion(life.ctx, life.as_("leo"), asked.id, asked.plan_digest)
        assert approved.state is State.REQUESTED
        admit_run(life.ctx, DAGSTER, "beside", name="trips", digest=version.digest, environment=QA)
        assert start_run(life.ctx, DAGSTER, "beside", "trips").waits_for == ""
        publishing = life.publishing("beside", "trips.daily", QA)
        assert grant_permit(life.ctx, DAGSTER, publishing).permit is not None

    return act


def in_production(life: Life) -> None:
    """Two releases, the second one published once more, and a foreign write on top."""
    for rows in (1, 2):
        version = life.save(make_spec(rows=rows))
        life.to_qa(version)
        life.run(version, QA)
        asked = life.ask(version, UAT)
        if life.approve(asked).state is State.REQUESTED:
            life.approve(asked, "leo")
        life.run(version, UAT)
        life.approve(life.ask(version, PRODUCTION))
    life.run(version, PRODUCTION)


def drifted(life: Life) -> Drift:
    life.plane.commit(DAILY)
    (drift,) = reconcile(life.ctx, SETUP).drifts
    return drift


def test_l15_a_revert_that_waits_for_the_catalog_holds_nobody_up(
    life: Life, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 17; failed on 0.1.0: "the store was busy for 30 s"."""
    in_production(life)
    drift = drifted(life)
    with hanging(
        life, monkeypatch, lambda: settle_drift(life.ctx, life.as_("lea"), drift.id, "revert", reason="x").state
    ) as answers:
        beside()
    assert answers == ["reverted"]


def test_l13_a_rollback_of_data_that_waits_for_the_catalog_holds_nobody_up(
    life: Life, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 17; failed on 0.1.0."""
    in_production(life)
    digest = plan_rollback(life.ctx, life.as_("lea"), "flights", data=True).plan.digest
    with hanging(
        life,
        monkeypatch,
        lambda: rollback_release(life.ctx, life.as_("lea"), "flights", reason="x", data=True, consent=digest).state,
    ) as answers:
        beside()
    assert answers == [State.DONE]


def test_l15_a_look_for_drift_that_waits_for_the_catalog_holds_nobody_up(
    life: Life, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 17; on 0.1.0 it asked once more inside of a transaction, which every test with `Life` finds now."""
    in_production(life)
    life.plane.commit(DAILY)
    with hanging(life, monkeypatch, lambda: len(reconcile(life.ctx, SETUP).drifts)) as answers:
        beside()
    assert answers == [1]


def test_d9_a_run_that_waits_for_its_branches_holds_nobody_up(
    life: Life, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 17."""
    version = life.save()
    life.to_qa(version)
    admit_run(life.ctx, DAGSTER, "first", name="flights", digest=version.digest, environment=QA)
    with hanging(life, monkeypatch, lambda: start_run(life.ctx, DAGSTER, "first", "flights").waits_for) as answers:
        beside()
    assert answers == [""]


def test_l8_an_approval_is_recorded_while_its_execution_waits_for_the_catalog(
    life: Life, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 17."""
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    asked = life.ask(version, UAT)
    life.approve(asked, "lea")
    with hanging(life, monkeypatch, lambda: life.approve(asked, "leo").state) as answers:
        beside()
        assert life.promotion(asked.id).state is State.EXECUTING
        with life.store.read() as view:
            assert len(view.promotions.decisions(asked.id)) == 2
        assert answers == []
    assert answers == [State.DONE]


@pytest.mark.parametrize(
    "act",
    [
        lambda life: tick(life.ctx, SETUP),
        lambda life: reconcile(life.ctx, SETUP),
        lambda life: plan_rollback(life.ctx, life.as_("lea"), "flights", data=True),
        lambda life: preview_rollback(life.ctx, life.as_("lea"), "flights", data=True),
        lambda life: plan_settlement(life.ctx, life.as_("lea"), drifted(life).id),
    ],
)
def test_nothing_asks_the_catalog_inside_of_a_transaction(life: Life, act: Callable[[Life], object]) -> None:
    """Finding 17: every test with `Life` looks for it; these are those that no other test would see."""
    life.to_production(life.save())
    life.to_production(life.save(make_spec(rows=2)))
    act(life)


@pytest.mark.parametrize("opened", ["read", "write"])
def test_a_call_of_the_catalog_inside_of_a_transaction_is_found(life: Life, opened: str) -> None:
    """Finding 17: the check can fail."""
    given = () if opened == "read" else (SETUP, "test")
    with pytest.raises(InsideOfTransaction, match="table was called inside of"), getattr(life.store, opened)(*given):
        life.ctx.plane.table(DAILY, QA)
    assert life.ctx.plane.table(DAILY, QA).table == DAILY


@pytest.mark.parametrize("error", [Unavailable("the catalog is down"), KeyError("a bug")])
def test_l15_a_revert_whose_catalog_fails_waits_and_is_carried_on_with(
    life: Life, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Findings 17 and 19."""
    life.to_production(life.save())
    drift = drifted(life)
    published = drift.found and life.plane.snapshots(DAILY, PRODUCTION, drift.found, None)[1].id
    real = life.plane.move
    monkeypatch.setattr(life.plane, "move", lambda *_: (_ for _ in ()).throw(error))
    waits = settle_drift(life.ctx, life.as_("lea"), drift.id, "revert", reason="x", key="k")
    assert (waits.state, bool(waits.outcome), waits.expected) == ("reverting", True, published)
    with life.store.read() as view:
        assert [one.id for one in view.runs.open_drifts()] == [drift.id], "it still blocks promotions"
    with pytest.raises(Conflict, match=f"drift {drift.id} is being reverted: .*; try again when that has finished"):
        settle_drift(life.ctx, life.as_("leo"), drift.id, "adopt", reason="fine")
    assert [one.item for one in reconcile(life.ctx, SETUP).troubles] == [f"drift:{drift.id}"]
    monkeypatch.setattr(life.plane, "move", real)
    assert reconcile(life.ctx, SETUP).troubles == ()
    assert life.plane.head(DAILY, "main") == published
    with life.store.read() as view:
        settled = view.runs.drift(drift.id)
        person = view.people.names((settled.closed_by,))[settled.closed_by]
    assert (settled.state, settled.reason, person, settled.outcome) == ("reverted", "x", "lea", "")


def test_l15_a_revert_is_asked_for_again_by_whoever_waited(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding 17: the same keyed command, and another one, carry on with what has begun."""
    life.to_production(life.save())
    drift = drifted(life)
    real = life.plane.move
    monkeypatch.setattr(life.plane, "move", lambda *_: (_ for _ in ()).throw(Unavailable("down")))
    assert settle_drift(life.ctx, life.as_("lea"), drift.id, "revert", reason="x", key="k").state == "reverting"
    monkeypatch.setattr(life.plane, "move", real)
    assert settle_drift(life.ctx, life.as_("lea"), drift.id, "revert", reason="x", key="k").state == "reverted"
    head = life.plane.commit(DAILY)
    assert settle_drift(life.ctx, life.as_("lea"), drift.id, "revert", reason="x", key="k").state == "reverted"
    assert life.plane.head(DAILY, "main") == head, "the answer is kept, the act is not repeated"


def test_l15_a_revert_that_meets_a_write_is_refused_and_the_drift_is_open_again(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 17."""
    life.to_production(life.save())
    drift = drifted(life)
    real = life.plane.move

    def late(*given: Any) -> Any:
        life.plane.commit(DAILY)
        return real(*given)

    monkeypatch.setattr(life.plane, "move", late)
    with pytest.raises(Refused, match=f"{DAILY} has been written again since; reconcile, then review it again"):
        settle_drift(life.ctx, life.as_("lea"), drift.id, "revert", reason="x")
    with life.store.read() as view:
        again = view.runs.drift(drift.id)
    assert (again.state, again.reason, again.expected, again.executor) == ("open", "", None, None)


def test_l15_two_who_revert_at_once_move_the_ref_once(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finding 17."""
    life.to_production(life.save())
    drift = drifted(life)
    with hanging(
        life, monkeypatch, lambda: settle_drift(life.ctx, life.as_("lea"), drift.id, "revert", reason="x").state
    ) as answers:
        # The first one has only looked: the second one overtakes it, and the first finds it settled.
        assert settle_drift(life.ctx, life.as_("leo"), drift.id, "revert", reason="y").state == "reverted"
    (late,) = answers
    assert isinstance(late, Conflict)
    assert life.plane.tags(DAILY).keys() >= {f"drls-revert-{drift.id}"}


def test_l13_a_publish_between_a_rollbacks_plan_and_its_record_makes_it_look_again(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 17: the plan is made outside of the transaction, and holds only while the store says the same."""
    life.to_production(life.save())
    second = life.save(make_spec(rows=2))
    life.to_production(second)
    digest = plan_rollback(life.ctx, life.as_("lea"), "flights", data=True).plan.digest
    with hanging(
        life,
        monkeypatch,
        lambda: rollback_release(life.ctx, life.as_("lea"), "flights", reason="x", data=True, consent=digest),
    ) as answers:
        life.run(second, PRODUCTION)
    (refused,) = answers
    assert isinstance(refused, Conflict)
    assert "review the plan" in refused.message


@pytest.mark.parametrize("verb", [record_receipt, release_permit])
def test_l11_a_permit_is_looked_after_outside_of_a_transaction(
    life: Life, beside: Beside, monkeypatch: pytest.MonkeyPatch, verb: Callable[..., object]
) -> None:
    """Finding 17."""
    version = life.save()
    life.to_qa(version)
    asked = life.publishing(life.begin(version, QA), DAILY, QA)
    permit = grant_permit(life.ctx, DAGSTER, asked).permit
    assert permit is not None
    if verb is record_receipt:
        life.plane.publish(asked.table, asked.ref, asked.base, asked.candidate)
    with hanging(life, monkeypatch, lambda: verb(life.ctx, DAGSTER, permit.id)) as answers:
        beside()
    assert not isinstance(answers[0], LifecycleError)
