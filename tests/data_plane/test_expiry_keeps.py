"""What expiry keeps for the lifecycle: releases, requests, evidence, drift and positions (D4, D9, L3, L12, L13, L15)."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.positions import POSITIONS, SOURCES, find_position, plan_read
from drls_dagster.ledger import open_ledger
from drls_dagster.maintenance import expire
from drls_dagster.maintenance.keep import keep_for
from lifecycle.domain.operations import ExpireOptions, ExpireResult
from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State
from lifecycle.ports import MoveResult
from lifecycle.spec import PipelineSpec
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.rollback_release import plan_rollback, rollback_release
from tests.fakes.lake import LakePlane
from tests.lifecycle.life import PRODUCTION, SETUP, UAT, Life, make_spec
from tests.table_operations import content, require_tidy, work_on

RAW, DAILY, LATE = "flights_raw.flights", "flights.daily", "flights.late"
LAST = ExpireOptions(retain_last=1)


def lake_of(life: Life) -> LakePlane:
    return cast(LakePlane, life.plane)


def expire_all(life: Life) -> dict[str, ExpireResult]:
    """As hard as it may be asked for, on every table; the content of every ref stays."""
    found: dict[str, ExpireResult] = {}
    lake = lake_of(life)
    for name in (RAW, DAILY, LATE):
        before = content(name)
        keep = keep_for(life.ctx, open_ledger(lake.settings), lake.catalog, lake.lake_table(name))
        work = work_on(name, keep=keep)
        found[name] = expire.execute(work, LAST)
        assert content(name) == before
        require_tidy(name)
    return found


def require_no_drift(life: Life) -> None:
    looked = reconcile(life.ctx, SETUP)
    assert (looked.drifts, looked.troubles) == ((), ())


@pytest.mark.slow
def test_d9_l3_evidence_and_a_request_outlive_expiry(life: Life) -> None:
    life.to_production(life.save())
    life.clock.advance(minutes=1)
    version = life.save(make_spec(rows=2))
    life.to_uat(version)
    life.run(version, UAT)
    life.run(version, UAT)
    expire_all(life)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="wait")
    asked = life.approve(life.ask(version, PRODUCTION))
    life.plane.commit(RAW)
    expire_all(life)
    require_no_drift(life)
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    assert execute_promotion(life.ctx, SETUP, asked.id).promotion.state is State.DONE
    expire_all(life)
    require_no_drift(life)


@pytest.mark.slow
def test_l13_a_rollback_still_has_what_it_returns_to(life: Life) -> None:
    first = life.save()
    life.to_production(first)
    life.run(first, PRODUCTION)
    life.run(first, PRODUCTION)
    back, rows = life.plane.head(DAILY, "main"), lake_of(life).rows(DAILY)
    life.clock.advance(minutes=1)
    second = life.save(make_spec(rows=2))
    life.to_production(second)
    life.run(second, PRODUCTION)
    life.run(second, PRODUCTION)
    found = expire_all(life)
    assert found[DAILY].expired_count > 0
    require_no_drift(life)
    plan = plan_rollback(life.ctx, life.as_("lea"), "flights", data=True)
    done = rollback_release(
        life.ctx, life.as_("lea"), "flights", reason="wrong sums", data=True, consent=plan.plan.digest
    )
    assert done.state is State.DONE
    assert (life.plane.head(DAILY, "main"), lake_of(life).rows(DAILY)) == (back, rows)
    expire_all(life)
    require_no_drift(life)


@pytest.mark.slow
def test_l12_a_promotion_on_its_way_can_still_be_undone(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    life.to_production(life.save())
    life.clock.advance(minutes=1)
    version = life.save(make_spec(rows=2))
    life.to_uat(version)
    life.run(version, UAT)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="wait")
    asked = life.approve(life.ask(version, PRODUCTION))
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    before = life.plane.head(DAILY, "main")
    move = life.plane.move

    def moves_and_is_lost(*given: Any) -> Any:
        if move(*given) is MoveResult.CONFLICT:
            return MoveResult.CONFLICT
        raise OSError("no route to host")

    with monkeypatch.context() as patched:
        patched.setattr(life.plane, "move", moves_and_is_lost)
        assert execute_promotion(life.ctx, SETUP, asked.id).promotion.state is State.FAILED
    expire_all(life)
    life.plane.commit(LATE)
    life.clock.advance(minutes=9)
    assert execute_promotion(life.ctx, SETUP, asked.id).promotion.state is State.STALE
    assert life.plane.head(DAILY, "main") == before


def test_l15_a_foreign_compaction_can_still_be_compared(life: Life) -> None:
    version = life.save()
    life.to_production(version)
    ours = life.plane.head(DAILY, "main")
    life.plane.commit(DAILY, operation="replace")
    (drift,) = reconcile(life.ctx, SETUP).drifts
    expire_all(life)
    kept = {one.snapshot_id for one in lake_of(life).lake_table(DAILY).metadata.snapshots}
    assert {ours, drift.found} <= kept
    assert reconcile(life.ctx, SETUP).drifts == ()


def test_d4_positions_continue(life: Life) -> None:
    """As a source back to where a sink has come; as a sink back to what says so, behind a compaction."""
    lake = lake_of(life)
    spec = make_spec().model_dump(mode="json", by_alias=True, exclude_none=True)
    spec["nodes"][0]["source"]["read"] = "incremental"
    life.plane.commit(RAW)
    version = life.save(PipelineSpec.model_validate(spec))
    life.to_production(version)
    uuid = str(lake.lake_table(RAW).metadata.table_uuid)
    read = life.plane.commit(RAW)
    told = {POSITIONS: json.dumps({uuid: read}), SOURCES: json.dumps({RAW: uuid})}
    says = life.plane.commit(DAILY, **told)
    for _ in range(3):
        life.plane.commit(RAW)
        life.plane.commit(DAILY, operation="replace")
    first = lake.lake_table(RAW).metadata.snapshots[0].snapshot_id
    expire_all(life)
    source, sink = lake.lake_table(RAW), lake.lake_table(DAILY)
    assert sink.snapshot_by_id(says) is not None
    position = find_position(sink, refs.head(sink, "main"), source, "append", [])
    assert position == read
    head = refs.head(source, "main")
    planned = plan_read(source, position, head, version_sink(spec), DAILY)
    assert (planned.start, planned.end) == (read, head)
    assert source.snapshot_by_id(first) is None


def version_sink(spec: dict[str, Any]) -> Any:
    return next(one for one in PipelineSpec.model_validate(spec).sinks if one.table == DAILY)
