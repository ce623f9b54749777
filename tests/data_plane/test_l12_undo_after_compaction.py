"""Undoing a promotion on real tables, after compaction and a resume (L3, L12)."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import State
from lifecycle.ports import MoveResult
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.holding import lift_hold, set_hold
from tests.lifecycle.life import PRODUCTION, SETUP, UAT, Life, make_spec

DAILY, LATE = "flights.daily", "flights.late"


def test_l12_a_promotion_resumed_after_its_move_undoes_to_the_compacted_head(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 2; failed on 0.1.0: production went back to the head before the compaction."""
    life.to_production(life.save())
    life.clock.advance(minutes=1)
    version = life.save(make_spec(rows=2))
    life.to_uat(version)
    life.run(version, UAT)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="wait")
    asked = life.approve(life.ask(version, PRODUCTION))
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    compacted = life.compact(DAILY)
    move = life.plane.move

    def moves_and_is_lost(*given: Any) -> Any:
        if move(*given) is MoveResult.CONFLICT:
            return MoveResult.CONFLICT
        raise OSError("no route to host")

    with monkeypatch.context() as patched:
        patched.setattr(life.plane, "move", moves_and_is_lost)
        assert execute_promotion(life.ctx, SETUP, asked.id).promotion.state is State.FAILED
    assert life.plane.head(DAILY, "main") == asked.plan.tables[0].candidate
    theirs = life.plane.commit(LATE)
    life.clock.advance(minutes=9)
    assert execute_promotion(life.ctx, SETUP, asked.id).promotion.state is State.STALE
    assert (life.plane.head(DAILY, "main"), life.plane.head(LATE, "main")) == (compacted, theirs)
