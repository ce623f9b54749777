"""A promotion that ends in nothing puts each ref back to the head that was there, compacted or not (L3, L12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.domain.policy import HoldKind
from lifecycle.domain.promotion import Promotion, State
from lifecycle.ports import Move, MoveResult
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.holding import lift_hold, set_hold
from tests.lifecycle.life import PRODUCTION, SETUP, UAT, Life, make_spec

DAILY, LATE = "flights.daily", "flights.late"


def approved(life: Life) -> Promotion:
    """A second release that is approved; production has the first one."""
    life.to_production(life.save())
    life.clock.advance(minutes=1)
    version = life.save(make_spec(rows=2))
    life.to_uat(version)
    life.run(version, UAT)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="wait")
    asked = life.approve(life.ask(version, PRODUCTION))
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    return asked


def at_move(life: Life, monkeypatch: pytest.MonkeyPatch, act: Callable[[Move, Callable[[], MoveResult]], Any]) -> None:
    """`act` is in the place of each move, which it can make."""
    real = life.plane.move
    monkeypatch.setattr(life.plane, "move", lambda wanted, where: act(wanted, lambda: real(wanted, where)))


def lost(move: Callable[[], MoveResult], *, before: bool) -> MoveResult:
    if not before and move() is MoveResult.CONFLICT:
        return MoveResult.CONFLICT
    raise ConnectionError("the catalog does not answer")


def resumed(life: Life, request: Promotion) -> Promotion:
    life.clock.advance(minutes=9)
    return execute_promotion(life.ctx, SETUP, request.id).promotion


def test_l12_a_promotion_resumed_after_its_move_undoes_to_the_compacted_head(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 2; failed on 0.1.0: production went back to the head before the compaction."""
    asked = approved(life)
    compacted = life.compact(DAILY)
    with monkeypatch.context() as patched:
        at_move(life, patched, lambda _, move: lost(move, before=False))
        assert execute_promotion(life.ctx, SETUP, asked.id).promotion.state is State.FAILED
    assert life.plane.head(DAILY, "main") == asked.plan.tables[0].candidate
    theirs = life.plane.commit(LATE)
    ended = resumed(life, asked)
    assert ended.state is State.STALE
    assert (life.plane.head(DAILY, "main"), life.plane.head(LATE, "main")) == (compacted, theirs)
    assert f"drls-release-{asked.id}" not in life.plane.tags(DAILY)


@pytest.mark.parametrize("then", ["undone", "done"])
def test_l12_compaction_between_the_note_and_the_move_is_noted_again(
    life: Life, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    asked = approved(life)
    life.compact(DAILY)
    with monkeypatch.context() as patched:
        at_move(life, patched, lambda _, move: lost(move, before=True))
        assert execute_promotion(life.ctx, SETUP, asked.id).promotion.state is State.FAILED
    compacted = life.compact(DAILY)
    late = life.plane.commit(LATE) if then == "undone" else asked.plan.tables[1].candidate
    ended = resumed(life, asked)
    assert ended.state is (State.STALE if then == "undone" else State.DONE)
    daily = compacted if then == "undone" else asked.plan.tables[0].candidate
    assert (life.plane.head(DAILY, "main"), life.plane.head(LATE, "main")) == (daily, late)


def test_l12_compaction_while_it_executes_is_undone_to_as_well(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compaction commits between each look and each move, until it stops; then the second table is lost."""
    asked = approved(life)
    made: list[int] = []

    def contested(wanted: Move, move: Callable[[], MoveResult]) -> MoveResult:
        if wanted.table == DAILY and len(made) < 2:
            made.append(life.compact(DAILY))
        if wanted.table == LATE:
            life.plane.commit(LATE)
        return move()

    at_move(life, monkeypatch, contested)
    ended = execute_promotion(life.ctx, SETUP, asked.id).promotion
    assert (ended.state, len(made)) == (State.STALE, 2)
    assert life.plane.head(DAILY, "main") == made[-1]


def test_l12_a_ref_that_compaction_never_leaves_alone_ends_in_nothing(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = approved(life)

    def contested(wanted: Move, move: Callable[[], MoveResult]) -> MoveResult:
        life.compact(DAILY)
        return move()

    at_move(life, monkeypatch, contested)
    ended = execute_promotion(life.ctx, SETUP, asked.id).promotion
    assert ended.state is State.STALE
    assert f"drls-release-{asked.id}" not in life.plane.tags(DAILY)


def test_d12_undoing_a_first_release_still_removes_the_ref(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    at_move(life, monkeypatch, lambda wanted, move: MoveResult.CONFLICT if wanted.table == LATE else move())
    assert life.approve(life.ask(version, PRODUCTION)).state is State.STALE
    assert life.plane.head(DAILY, "main") is None
