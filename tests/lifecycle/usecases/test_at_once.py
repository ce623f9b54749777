"""Two at the same moment: one wins, the other gets a clean 409. Threads and processes, both databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifecycle.audit import verify
from lifecycle.audit.keys import SigningKey
from lifecycle.domain.environment import Environment
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State
from lifecycle.errors import Conflict
from lifecycle.store.store import Store
from lifecycle.usecases.approve_promotion import approve_promotion
from lifecycle.usecases.demote_version import demote_version
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.grant_permit import grant_permit, record_receipt
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.reject_promotion import reject_promotion
from tests.fakes.clock import FakeClock
from tests.lifecycle.at_once import Act, at_once
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, UAT, Life, make_spec

KINDS = ["threads", "processes"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def together(kind: str, store: Store, store_url: str, tmp_path: Path, signing_key: SigningKey, clock: FakeClock):
    def run(*acts: Act) -> list[int]:
        store.close()
        return at_once(kind, acts, store_url, tmp_path, signing_key, clock)

    return run


def check_log(life: Life) -> None:
    keys = {life.store.signing_key.key_id: life.store.signing_key.public}
    with life.store.read() as view:
        assert verify(view.log.entries(), view.log.head(), keys).whole


def test_two_executions_at_once_execute_once(life: Life, together) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="test")
    request = life.approve(life.ask(version, PRODUCTION))
    lift_hold(life.ctx, life.as_("lea"), hold.id)

    def execute(other: Life) -> None:
        if execute_promotion(other.ctx, other.as_("ada"), request.id).promotion.state is not State.DONE:
            raise AssertionError

    statuses = together(execute, execute)
    # The second one may also come so late that it is told "done" at once.
    assert sorted(statuses) in ([200, 200], [200, 409])
    assert life.promotion(request.id).state is State.DONE
    with life.store.read() as view:
        assert len(view.deployments.history(view.pipelines.named("flights").id, PRODUCTION)) == 1
        assert len(view.log.search(verb="promotion.done", subject=f"promotion:{request.id}")) == 1
    check_log(life)


def test_two_executions_in_one_process_execute_once(life: Life) -> None:
    """Two requests to one server are two threads that share everything, the executor's name included."""
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="test")
    request = life.approve(life.ask(version, PRODUCTION))
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    move, moved = life.plane.move, 0

    def come_in_between(*given: Any) -> Any:
        nonlocal moved
        answer = move(*given)
        moved += 1
        with pytest.raises(Conflict, match="being executed by test/"):
            execute_promotion(life.ctx, life.as_("lea"), request.id)
        return answer

    life.plane.move = come_in_between  # type: ignore[method-assign]
    assert execute_promotion(life.ctx, life.as_("ada"), request.id).promotion.state is State.DONE
    assert moved == 2
    check_log(life)


def test_approve_against_reject(life: Life, together) -> None:
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    asked = life.ask(version, UAT)

    def approve(other: Life) -> None:
        approve_promotion(other.ctx, other.as_("lea"), asked.id, asked.plan_digest, if_revision=1)

    def reject(other: Life) -> None:
        reject_promotion(other.ctx, other.as_("leo"), asked.id, asked.plan_digest, reason="no", if_revision=1)

    statuses = together(approve, reject)
    assert sorted(statuses) == [200, 409]
    assert life.promotion(asked.id).state is (State.DONE if statuses[0] == 200 else State.REJECTED)
    check_log(life)


def test_promote_against_demote(life: Life, together) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    asked = life.ask(version, PRODUCTION)

    def promote(other: Life) -> None:
        done = approve_promotion(other.ctx, other.as_("lea"), asked.id, asked.plan_digest, if_revision=1)
        if done.state is not State.DONE:
            raise Conflict(done.outcome)

    def demote(other: Life) -> None:
        demote_version(other.ctx, other.as_("leo"), "flights", 1, reason="wrong")

    statuses = together(promote, demote)
    promoted, demoted = (status == 200 for status in statuses)
    assert set(statuses) <= {200, 409}
    assert promoted or demoted
    assert (life.active(PRODUCTION) is not None) == promoted
    assert (life.active(UAT) is None) == demoted
    check_log(life)


def test_publish_against_promote(life: Life, together) -> None:
    first = life.save()
    life.to_production(first)
    second = life.save(make_spec(rows=2))
    life.to_uat(second)
    life.run(second, UAT)
    asked = life.ask(second, PRODUCTION)
    run_id = life.begin(first, PRODUCTION)
    publishing = life.publishing(run_id, "flights.daily", PRODUCTION)

    def publish(other: Life) -> None:
        leave = grant_permit(other.ctx, DAGSTER, publishing)
        assert leave.permit is not None
        assert other.plane.publish(publishing.table, publishing.ref, publishing.base, publishing.candidate)
        record_receipt(other.ctx, DAGSTER, leave.permit.id)

    def promote(other: Life) -> None:
        approve_promotion(other.ctx, other.as_("lea"), asked.id, asked.plan_digest)

    statuses = together(publish, promote)
    assert set(statuses) <= {200, 409}
    state = execute_promotion(life.ctx, life.as_("ada"), asked.id).promotion.state if not life.promotion(
        asked.id
    ).state.is_terminal else life.promotion(asked.id).state  # fmt: skip
    published = statuses[0] == 200
    assert (published, state) in [(True, State.STALE), (False, State.DONE)]
    with life.store.read() as view:
        receipts = view.runs.receipts_on("flights.daily", PRODUCTION)
        assert receipts[-1].snapshot == life.plane.head("flights.daily", "main")
    check_log(life)


def test_two_saves_at_once_make_two_versions(life: Life, together) -> None:
    life.save()
    together(lambda one: one.save(make_spec(rows=2)), lambda other: other.save(make_spec(rows=3), by="eve"))
    with life.store.read() as view:
        pipeline = view.pipelines.named("flights")
        assert [one.number for one in view.pipelines.versions(pipeline.id)] == [3, 2, 1]
        assert len(view.deployments.of(Environment.DEVELOPMENT)) == 1
    check_log(life)
