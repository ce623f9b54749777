"""The rules that touch data, through the real use cases, on real tables (D9, D12, D14, L3, L4, L13, L15)."""

from __future__ import annotations

import time
from typing import Any, cast

import pytest
from pyiceberg.catalog.sql import SqlCatalog

from drls_dagster.lakehouse import commit_retry as commit
from drls_dagster.lakehouse.refs import RELEASED
from lifecycle.domain.plan import Carry
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import Promotion, State
from lifecycle.errors import Refused
from lifecycle.ports import Move
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.grant_permit import grant_permit
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.rollback_release import plan_rollback, rollback_release
from lifecycle.usecases.settle_drift import settle_drift
from lifecycle.usecases.start_run import finish_run
from tests.fakes.lake import LakePlane
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, SETUP, UAT, Life, make_spec

DAILY, LATE = "flights.daily", "flights.late"


def lake_of(life: Life) -> LakePlane:
    return cast(LakePlane, life.plane)


def approved_and_held(life: Life) -> tuple[Promotion, int]:
    """A request for production that is approved and waits behind a freeze."""
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="wait")
    asked = life.approve(life.ask(version, PRODUCTION))
    assert asked.state is State.APPROVED
    return asked, hold.id


def go(life: Life, held: tuple[Promotion, int]) -> Promotion:
    lift_hold(life.ctx, life.as_("lea"), held[1])
    return execute_promotion(life.ctx, SETUP, held[0].id).promotion


def data_files(life: Life) -> int:
    return sum(1 for _ in lake_of(life).settings.home.rglob("*.parquet"))


def test_l4_what_was_looked_at_becomes_production_and_no_data_file_is_written(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    asked = life.ask(version, PRODUCTION)
    before = data_files(life)
    done = life.approve(asked)
    assert (done.state, done.plan.carry, data_files(life)) == (State.DONE, Carry.SNAPSHOT, before)
    for table in done.plan.tables:
        assert life.plane.head(table.table, "main") == life.plane.head(table.table, "uat") == table.candidate
        assert life.plane.tags(table.table) == {f"drls-release-{done.id}": table.candidate}


def test_d12_the_first_release_says_so_in_the_table(life: Life) -> None:
    lake_of(life).make(DAILY, **{RELEASED: "false"})
    done = life.to_production(life.save())
    (daily, _) = done.plan.tables
    assert daily.base is None
    assert lake_of(life).lake_table(DAILY).properties[RELEASED] == "true"
    assert daily.candidate is not None
    first = Move(table=DAILY, ref="main", base=None, candidate=daily.candidate, tag=f"drls-release-{done.id}")
    assert life.plane.undo(first, PRODUCTION)
    table = lake_of(life).lake_table(DAILY)
    assert (table.properties[RELEASED], "main" in table.refs(), table.current_snapshot()) == ("false", False, None)
    assert table.scan().to_arrow().num_rows == 0


def test_d9_a_foreign_write_to_uat_voids_the_session_until_it_is_refreshed(life: Life) -> None:
    from lifecycle.usecases.start_run import new_session

    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    foreign = life.plane.commit(DAILY, "uat")
    told = plan_promotion(life.ctx, life.as_("ada"), "flights", 1, PRODUCTION).advice.blocked
    assert any(f"snapshot {foreign} was not written by this version" in line for line in told)
    with pytest.raises(Refused, match=f"snapshot {foreign} was not written by this version"):
        life.ask(version, PRODUCTION)

    new_session(life.ctx, life.as_("ada"), "flights", UAT)
    life.run(version, UAT)
    assert life.approve(life.ask(version, PRODUCTION)).state is State.DONE
    assert not lake_of(life).is_on_main(DAILY, foreign)


def test_d9_a_publish_that_brings_several_snapshots_along_answers_for_all_of_them(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    run_id = life.begin(version, UAT)
    life.plane.commit("flights_raw.flights")
    for number, table in enumerate((DAILY, LATE)):
        asked = life.publishing(run_id, table, UAT, number)
        second = life.plane.write(table, asked.candidate)  # a delete, then an append: one sink write of Spark's
        life.publish(asked.model_copy(update={"candidate": second}))
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    assert life.approve(life.ask(version, PRODUCTION)).state is State.DONE


def test_l3_main_moved_only_by_compaction_is_not_stale_and_the_candidate_wins(life: Life) -> None:
    life.to_production(life.save())
    life.clock.advance(minutes=1)
    version = life.save(make_spec(rows=2))
    life.to_uat(version)
    life.run(version, UAT)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="wait")
    asked = life.approve(life.ask(version, PRODUCTION))
    life.compact(DAILY)
    compacted = life.compact(DAILY)
    done = go(life, (asked, hold.id))
    assert done.state is State.DONE
    assert life.plane.head(DAILY, "main") == done.plan.tables[0].candidate != compacted


@pytest.mark.parametrize("then", ["append", "overwrite"])
def test_l3_main_moved_by_anything_else_is_stale_and_nothing_has_moved(life: Life, then: str) -> None:
    held = approved_and_held(life)
    life.plane.commit(LATE)
    if then == "overwrite":
        table = lake_of(life).lake_table(LATE)
        table.overwrite(table.scan().to_arrow())
    theirs = life.plane.head(LATE, "main")
    stale = go(life, held)
    assert stale.state is State.STALE
    assert f"tables[{LATE}].base" in stale.outcome
    assert (life.plane.head(DAILY, "main"), life.plane.head(LATE, "main")) == (None, theirs)
    assert (life.plane.tags(DAILY), life.plane.tags(LATE)) == ({}, {})


def test_l3_the_candidate_outlives_a_newer_uat_run(life: Life) -> None:
    held = approved_and_held(life)
    candidate = life.plane.head(DAILY, "uat")
    with life.store.read() as view:
        version = view.pipelines.version(held[0].version_id)
    life.run(version, UAT)
    assert life.plane.head(DAILY, "uat") != candidate
    assert go(life, held).state is State.DONE
    assert life.plane.head(DAILY, "main") == candidate


def test_l4_an_input_that_is_not_on_main_makes_it_a_promotion_of_code(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    raw = "flights_raw.flights"
    lake_of(life).open_session(UAT, [raw])
    aside = life.plane.commit(raw, "uat")
    run_id = life.begin(version, UAT)
    for number, table in enumerate((DAILY, LATE)):
        asked = life.publishing(run_id, table, UAT, number)
        read = asked.work.inputs[0].model_copy(update={"snapshot": aside})
        life.publish(asked.model_copy(update={"work": asked.work.model_copy(update={"inputs": (read,)})}))
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    plan = plan_promotion(life.ctx, life.as_("ada"), "flights", 1, PRODUCTION).plan
    assert plan.carry is Carry.CODE
    assert f"read {raw} at {aside}, which is not on its main" in plan.carry_reason


def test_l11_a_lost_receipt_is_found_on_the_branch(life: Life) -> None:
    version = life.save()
    life.to_qa(version)
    life.plane.commit("flights_raw.flights")
    run_id = life.begin(version, QA)
    asked = life.publishing(run_id, DAILY, QA)
    assert grant_permit(life.ctx, DAGSTER, asked).permit is not None
    assert life.plane.publish(DAILY, "qa", asked.base, asked.candidate)
    life.clock.advance(minutes=9)
    reconcile(life.ctx, SETUP)
    with life.store.read() as view:
        assert [one.snapshot for one in view.runs.receipts_on(DAILY, QA)] == [asked.candidate]


def test_l13_a_rollback_with_data_lists_what_it_undoes_and_goes_back(life: Life) -> None:
    life.to_production(life.save())
    first = life.plane.head(DAILY, "main")
    two = life.save(make_spec(rows=2))
    life.to_production(two)
    run_id = life.begin(two, PRODUCTION)
    asked = life.publishing(run_id, DAILY, PRODUCTION)
    inside = asked.candidate  # a publish of two snapshots: both are its run's
    life.publish(asked.model_copy(update={"candidate": life.plane.write(DAILY, inside)}))
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    foreign = life.plane.commit(LATE)
    last = life.plane.head(DAILY, "main")
    plan = plan_rollback(life.ctx, life.as_("lea"), "flights", data=True)
    undone = {(gone.table, gone.snapshot): gone.run_id for gone in plan.undone}
    assert last is not None
    assert undone[DAILY, last] == undone[DAILY, inside] == run_id
    assert undone[LATE, foreign] is None
    done = rollback_release(
        life.ctx, life.as_("lea"), "flights", reason="wrong sums", data=True, consent=plan.plan.digest
    )
    assert done.state is State.DONE
    assert life.plane.head(DAILY, "main") == first
    assert not lake_of(life).is_on_main(DAILY, last)
    assert len(lake_of(life).rows(DAILY)) == 1
    assert life.active_number(PRODUCTION) == 1


@pytest.mark.parametrize("how", ["adopt", "revert"])
def test_l15_drift_is_found_blocks_and_is_adopted_or_reverted(life: Life, how: Any) -> None:
    version = life.save()
    life.to_production(version)
    ours = life.compact(DAILY)
    assert reconcile(life.ctx, SETUP).drifts == (), "maintenance has a permit"
    foreign = life.plane.commit(DAILY)
    (drift,) = reconcile(life.ctx, SETUP).drifts
    assert (drift.table_name, drift.found) == (DAILY, foreign)
    newer = life.save(make_spec(rows=2))
    life.to_uat(newer)
    life.run(newer, UAT)
    with pytest.raises(Refused, match=f"{DAILY} has drifted on main"):
        life.ask(newer, PRODUCTION)
    settle_drift(life.ctx, life.as_("lea"), drift.id, how, reason="known")
    assert life.plane.head(DAILY, "main") == (foreign if how == "adopt" else ours)
    assert reconcile(life.ctx, SETUP).drifts == ()


def test_d14_a_move_that_meets_other_commits_is_tried_again_and_then_says_so(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "_LONGEST_WAIT_SECONDS", 0.06)
    held = approved_and_held(life)
    left = [commit.ATTEMPTS - 1]
    write = SqlCatalog._write_metadata

    def contested(*args: Any, **more: Any) -> None:
        """Somebody else commits to the same table between our reading and our writing of its row."""
        write(*args, **more)
        if left[0]:
            wanted, left[0] = left[0], 0
            lake_of(life).pin(DAILY, PRODUCTION, held[0].plan.tables[0].candidate or 0, f"theirs-{wanted}")
            left[0] = wanted - 1

    monkeypatch.setattr(SqlCatalog, "_write_metadata", staticmethod(contested))
    assert go(life, held).state is State.DONE
    assert len([tag for tag in life.plane.tags(DAILY) if tag.startswith("theirs")]) == commit.ATTEMPTS - 1


def test_d14_when_every_try_is_met_the_request_fails_clearly_and_can_be_resumed(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "_LONGEST_WAIT_SECONDS", 0.06)
    held = approved_and_held(life)
    write, inside = SqlCatalog._write_metadata, [False]

    def contested(*args: Any, **more: Any) -> None:
        write(*args, **more)
        if not inside[0]:
            inside[0] = True
            lake_of(life).pin(DAILY, PRODUCTION, held[0].plan.tables[0].candidate or 0, f"theirs-{time.monotonic_ns()}")
            inside[0] = False

    with monkeypatch.context() as patched:
        patched.setattr(SqlCatalog, "_write_metadata", staticmethod(contested))
        failed = go(life, held)
    assert failed.state is State.FAILED
    assert f"drls-release-{failed.id}, 'main' of {DAILY}: other writers committed first 8 times" in failed.outcome
    assert life.plane.head(DAILY, "main") is None
    life.clock.advance(minutes=9)
    assert execute_promotion(life.ctx, SETUP, failed.id).promotion.state is State.DONE


def test_a_catalog_that_cannot_be_reached_leaves_the_journal_and_says_where(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = approved_and_held(life)
    with monkeypatch.context() as patched:
        patched.setattr(SqlCatalog, "commit_table", lambda *_: (_ for _ in ()).throw(OSError("no route to host")))
        failed = go(life, held)
    assert failed.state is State.FAILED
    assert "the catalog 'lake' at sqlite:///" in failed.outcome
    assert "no route to host" in failed.outcome
    life.clock.advance(minutes=9)
    assert execute_promotion(life.ctx, SETUP, failed.id).promotion.state is State.DONE
