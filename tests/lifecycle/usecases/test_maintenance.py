"""L15: maintenance has permits of its own; who compacts without one has caused drift, adopted if no row changed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State
from lifecycle.domain.run import MaintenancePermit, PermitState
from lifecycle.errors import Conflict, Forbidden, NotFound, Refused
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.grant_permit import grant_permit
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.maintain_table import grant_maintenance, record_maintenance, release_maintenance
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.settle_drift import plan_settlement, settle_drift
from lifecycle.usecases.settle_permits import settle_permits
from tests.lifecycle.life import DAGSTER, PRODUCTION, SETUP, UAT, Life, make_spec

DAILY = "flights.daily"


def released(life: Life) -> int:
    life.to_production(life.save())
    head = life.plane.head(DAILY, "main")
    assert head is not None
    return head


def granted(life: Life, base: int) -> MaintenancePermit:
    return grant_maintenance(life.ctx, SETUP, "flights", DAILY, base, life.plane.write(DAILY, base, "replace"))


def test_l15_maintenance_asks_first_and_leaves_a_sealed_receipt(life: Life) -> None:
    base = released(life)
    permit = granted(life, base)
    assert life.plane.publish(DAILY, "main", base, permit.candidate)
    assert reconcile(life.ctx, SETUP).drifts == (), "between commit and receipt the permit explains it"
    receipt = record_maintenance(life.ctx, SETUP, permit.id)
    assert record_maintenance(life.ctx, SETUP, permit.id) == receipt
    assert (receipt.snapshot, receipt.base) == (permit.candidate, base)
    assert receipt.details.seal is not None
    with life.store.read() as view:
        assert view.seals.find([receipt.details.seal.root])
        assert view.runs.maintenance(permit.id).state is PermitState.USED
    assert reconcile(life.ctx, SETUP).drifts == ()


def test_l15_maintenance_that_was_killed_is_settled_from_the_history(life: Life) -> None:
    base = released(life)
    used = granted(life, base)
    life.plane.publish(DAILY, "main", base, used.candidate)
    life.clock.advance(minutes=3)
    settle_permits(life.ctx, SETUP)
    with life.store.read() as view:
        assert view.runs.receipts_on(DAILY, PRODUCTION)[-1].snapshot == used.candidate
    unused = granted(life, used.candidate)
    life.clock.advance(minutes=3)
    reconcile(life.ctx, SETUP)
    with life.store.read() as view:
        assert view.runs.maintenance(unused.id).state is PermitState.VOID
    with pytest.raises(NotFound):
        release_maintenance(life.ctx, SETUP, unused.id)


def test_l15_a_maintenance_permit_is_for_rewrites_alone(life: Life) -> None:
    base = released(life)
    for operation in ("append", "overwrite"):
        written = life.plane.write(DAILY, base, operation)
        with pytest.raises(Refused, match="maintenance only replaces files"):
            grant_maintenance(life.ctx, SETUP, "flights", DAILY, base, written)
    with pytest.raises(Refused, match=r"no active version of flights writes flights\.other"):
        grant_maintenance(life.ctx, SETUP, "flights", "flights.other", base, base)
    with pytest.raises(Forbidden):
        grant_maintenance(life.ctx, life.as_("ada"), "flights", DAILY, base, life.plane.write(DAILY, base, "replace"))


def test_l11_maintenance_runs_and_promotions_of_a_table_go_one_at_a_time(life: Life) -> None:
    base = released(life)
    permit = granted(life, base)
    with pytest.raises(Conflict, match="is rewriting"):
        granted(life, base)
    version = life.save(make_spec(rows=2))
    life.clock.advance(minutes=1)
    life.to_uat(version)
    life.run(version, UAT)
    waiting = life.approve(life.ask(version, PRODUCTION))
    assert waiting.state is State.EXECUTING
    with pytest.raises(Conflict, match="wait for it to finish"):
        granted(life, base)
    life.clock.advance(minutes=3)
    assert execute_promotion(life.ctx, SETUP, waiting.id).promotion.state is State.DONE
    with life.store.read() as view:
        assert view.runs.maintenance(permit.id).state is PermitState.VOID


def test_l11_a_run_that_is_publishing_goes_before_maintenance(life: Life) -> None:
    base = released(life)
    with life.store.read() as view:
        version = view.pipelines.version(view.deployments.of(PRODUCTION)[0].version_id)
    asked = life.publishing(life.begin(version, PRODUCTION), DAILY, PRODUCTION)
    assert grant_permit(life.ctx, DAGSTER, asked, lease=timedelta(minutes=2)).permit is not None
    with pytest.raises(Conflict, match="is publishing"):
        granted(life, base)


def test_l15_a_foreign_compaction_is_adopted_when_every_row_is_there(life: Life) -> None:
    base = released(life)
    version = life.save(make_spec(rows=2))
    life.clock.advance(minutes=1)
    life.to_uat(version)
    life.run(version, UAT)
    asked = life.ask(version, PRODUCTION)
    life.plane.commit(DAILY, operation="replace")
    compacted = life.plane.commit(DAILY, operation="replace")
    (drift,) = reconcile(life.ctx, SETUP).drifts
    plan = plan_settlement(life.ctx, life.as_("lea"), drift.id)
    assert plan.compaction is not None
    assert plan.compaction.base == base
    adopted = settle_drift(life.ctx, life.as_("lea"), drift.id, "adopt", reason="the nightly job")
    assert (adopted.state, adopted.found, adopted.expected) == ("adopted", compacted, base)
    assert reconcile(life.ctx, SETUP).drifts == ()
    assert life.approve(asked).state is State.DONE, "what was approved over the base holds over its compaction"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"id": 1, "note": "y"}], "column note has other values"),
        ([{"id": 1, "note": "a"}, {"id": 2, "note": "b"}], "the row count was 1 and is 2"),
    ],
)
def test_l15_a_compaction_that_changed_rows_is_not_adopted(
    life: Life, rows: list[dict[str, object]], said: str
) -> None:
    base = released(life)
    life.plane.commit(DAILY, operation="replace", rows=rows)
    (drift,) = reconcile(life.ctx, SETUP).drifts
    with pytest.raises(Refused, match=said):
        settle_drift(life.ctx, life.as_("lea"), drift.id, "adopt", reason="it says it is a compaction")
    settle_drift(life.ctx, life.as_("lea"), drift.id, "revert", reason="it is not")
    assert life.plane.head(DAILY, "main") == base


def test_l15_a_compaction_of_what_has_expired_is_adopted_without_a_comparison_and_says_so(life: Life) -> None:
    base = released(life)
    life.plane.commit(DAILY, operation="replace")
    life.plane.expire(DAILY, [base])
    (drift,) = reconcile(life.ctx, SETUP).drifts
    plan = plan_settlement(life.ctx, life.as_("lea"), drift.id)
    adopted = settle_drift(life.ctx, life.as_("lea"), drift.id, "adopt", reason="it was us")
    assert adopted.state == "adopted"
    with life.store.read() as view:
        (entry,) = view.log.search(verb="drift.adopted", limit=1)
    assert plan.compaction is not None
    assert (plan.compaction.base, entry.body["compared"], adopted.expected) == (None, "expired", None)


def test_l9_under_a_stop_maintenance_gets_no_permit(life: Life) -> None:
    base = released(life)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.STOP, PRODUCTION, None, reason="odd data")
    with pytest.raises(Refused, match=r"production is stopped .odd data.; a LeadDataEngineer can lift the stop"):
        granted(life, base)
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="year end")
    set_hold(life.ctx, life.as_("lea"), HoldKind.STOP, UAT, None, reason="elsewhere")
    assert granted(life, base).state is PermitState.LIVE
