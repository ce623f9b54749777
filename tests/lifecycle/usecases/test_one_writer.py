"""D11 where a version becomes active without a promotion: the glass, and the way back."""

from __future__ import annotations

import pytest

from lifecycle.domain.promotion import State
from lifecycle.errors import Refused
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.rollback_release import plan_rollback, rollback_release
from tests.lifecycle.life import PRODUCTION, Life, make_spec

TAKEN = r"flights v1 cannot become active: flights\.late is already written by pipeline other: only one pipeline may write a table"


def give_away(life: Life) -> None:
    """flights v2 does without flights.late, which another pipeline writes since."""
    second = life.save(make_spec(rows=2, tables=("flights.daily",)))
    assert life.to_production(second).state is State.DONE
    life.save(make_spec("other", tables=("flights.late",)))


def test_d11_the_glass_is_not_broken_for_a_table_of_another_pipeline(life: Life) -> None:
    life.save()
    give_away(life)
    with pytest.raises(Refused, match=TAKEN):
        break_glass(life.ctx, life.as_("lea"), "flights", 1, PRODUCTION, reason="production is down")
    assert life.active_number(PRODUCTION) == 2


def test_d11_no_rollback_to_a_release_whose_table_is_another_pipelines_by_now(life: Life) -> None:
    life.to_production(life.save())
    give_away(life)
    with pytest.raises(Refused, match=TAKEN):
        plan_rollback(life.ctx, life.as_("lea"), "flights")
    with pytest.raises(Refused, match=TAKEN):
        rollback_release(life.ctx, life.as_("lea"), "flights", reason="late flights are missing")
    assert life.active_number(PRODUCTION) == 2
