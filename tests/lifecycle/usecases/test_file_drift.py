"""L17: a file of production that is not as it was published is drift."""

from __future__ import annotations

import pytest

from lifecycle.domain.promotion import State
from lifecycle.domain.run import Drift
from lifecycle.domain.seal import Why
from lifecycle.errors import Refused
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.rollback_release import plan_rollback, rollback_release
from lifecycle.usecases.settle_drift import plan_settlement, settle_drift
from tests.lifecycle.life import PRODUCTION, SETUP, UAT, Life, make_spec

DAILY = "flights.daily"


def released(life: Life) -> int:
    life.to_production(life.save())
    head = life.plane.head(DAILY, "main")
    assert head is not None
    assert reconcile(life.ctx, SETUP).drifts == ()
    return head


def drifted(life: Life, snapshot: int, why: Why = Why.SIZE) -> Drift:
    life.plane.alter(DAILY, snapshot, why)
    (drift,) = reconcile(life.ctx, SETUP).drifts
    assert (drift.table_name, drift.file) == (DAILY, f"data/{snapshot}.parquet")
    assert reconcile(life.ctx, SETUP).drifts == (), "it is noted once"
    return drift


def test_l17_a_file_that_was_overwritten_is_drift_and_blocks(life: Life) -> None:
    drift = drifted(life, released(life))
    assert drift.told == f"{drift.file} has another size than when it was published (7 bytes instead of 100)"
    newer = life.save(make_spec(rows=2))
    life.to_uat(newer)
    life.run(newer, UAT)
    with pytest.raises(Refused, match=r"flights\.daily has drifted on main \(data/[0-9]+\.parquet has another size"):
        life.ask(newer, PRODUCTION)
    with pytest.raises(Refused, match="restore it from a backup"):
        settle_drift(life.ctx, life.as_("lea"), drift.id, "revert", reason="x")
    life.plane.alter(DAILY, life.plane.head(DAILY, "main") or 0, None)
    assert plan_settlement(life.ctx, life.as_("lea"), drift.id).file == ""
    with pytest.raises(Refused, match="revert the drift to close it"):
        settle_drift(life.ctx, life.as_("lea"), drift.id, "adopt", reason="x")
    settled = settle_drift(life.ctx, life.as_("lea"), drift.id, "revert", reason="restored from last night's backup")
    assert settled.state == "reverted"
    assert life.ask(newer, PRODUCTION).state is State.REQUESTED


def test_l17_a_file_is_adopted_as_it_is_now(life: Life) -> None:
    drift = drifted(life, released(life), Why.CONTENT)
    settled = settle_drift(life.ctx, life.as_("lea"), drift.id, "adopt", reason="we scrubbed a name")
    with life.store.read() as view:
        (file,) = view.seals.find([settled.seal or ""])[settled.seal or ""].files
    assert (settled.state, file.name, file.size) == ("adopted", drift.file, 7)


@pytest.mark.parametrize("why", [Why.GONE, Why.UNREAD])
def test_l17_a_file_that_cannot_be_read_cannot_be_adopted(life: Life, why: Why) -> None:
    drift = drifted(life, released(life), why)
    with pytest.raises(Refused, match="a table that cannot be read"):
        settle_drift(life.ctx, life.as_("lea"), drift.id, "adopt", reason="x")


def test_l17_what_production_no_longer_needs_is_no_drift(life: Life) -> None:
    first = released(life)
    life.clock.advance(minutes=1)
    newer = life.save(make_spec(rows=2))
    life.to_production(newer)
    second = life.plane.head(DAILY, "main")
    assert second is not None
    drift = drifted(life, second, Why.GONE)
    life.clock.advance(minutes=1)
    plan = plan_rollback(life.ctx, life.as_("lea"), "flights", data=True).plan
    rollback_release(life.ctx, life.as_("lea"), "flights", reason="x", data=True, consent=plan.digest)
    assert life.plane.head(DAILY, "main") == first
    assert settle_drift(life.ctx, life.as_("lea"), drift.id, "revert", reason="rolled back").state == "reverted"
    assert reconcile(life.ctx, SETUP).drifts == ()


def test_l17_a_waiting_run_does_not_read_files(life: Life) -> None:
    life.plane.alter(DAILY, released(life))
    assert reconcile(life.ctx, SETUP, files=False).drifts == ()
