"""Freezes, stops, rollbacks and drift, and what may be deleted or retired."""

from __future__ import annotations

import pytest

from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State
from lifecycle.domain.version import Label
from lifecycle.errors import Conflict, Invalid, NotFound, Refused
from lifecycle.ports import ReleaseFacts
from lifecycle.usecases.admit_run import admit_run
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.delete_pipeline import delete_pipeline
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.grant_permit import grant_permit
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.retire_version import retire_version
from lifecycle.usecases.rollback_release import plan_rollback, rollback_release
from lifecycle.usecases.settle_drift import settle_drift
from lifecycle.usecases.start_run import finish_run
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec


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
    with pytest.raises(Refused, match=r"earlier runs in UAT no longer count as evidence.*: run the pipeline in UAT"):
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


def test_l15_a_compaction_without_a_permit_is_drift(life: Life) -> None:
    life.to_production(life.save())
    compacted = life.plane.commit("flights.daily", "main", "replace")
    assert [one.found for one in reconcile(life.ctx, SETUP).drifts] == [compacted]


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
