"""The data of a rollback (L13): chains of rollbacks, tables of others, snapshots that were expired."""

from __future__ import annotations

import pytest

from lifecycle.domain.promotion import State
from lifecycle.errors import Refused
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.parts.data_back import UndonePublish
from lifecycle.usecases.rollback_release import plan_rollback, preview_rollback, rollback_release
from tests.lifecycle.life import PRODUCTION, Life, make_spec


def data_back(life: Life) -> list[UndonePublish]:
    """Rolls production back with its data; what that undid."""
    plan = plan_rollback(life.ctx, life.as_("lea"), "flights", data=True)
    done = rollback_release(life.ctx, life.as_("lea"), "flights", reason="bad", data=True, consent=plan.plan.digest)
    assert done.state is State.DONE
    return list(plan.undone)


@pytest.mark.parametrize("first", ["code", "data"])
def test_l13_a_second_rollback_takes_the_data_back_to_what_the_older_release_left(life: Life, first: str) -> None:
    left: list[int | None] = []
    for rows in (1, 2, 3):
        version = life.save(make_spec(rows=rows))
        life.to_production(version)
        life.run(version, PRODUCTION)
        left.append(life.plane.head("flights.daily", "main"))
    if first == "data":
        data_back(life)
        assert life.plane.head("flights.daily", "main") == left[1]
    else:
        rollback_release(life.ctx, life.as_("lea"), "flights", reason="bad")
        assert life.plane.head("flights.daily", "main") == left[2]
    undone = [one for one in data_back(life) if one.table == "flights.daily"]
    assert (life.active_number(PRODUCTION), life.plane.head("flights.daily", "main")) == (1, left[0])
    # By whom, not by the rollback that named the snapshot again.
    assert (undone[0].snapshot, "run" in str(undone[0].run_id)) == (left[1] if first == "data" else left[2], True)
    assert [one.run_id for one in undone if one.run_id is None] == []


def test_l13_a_table_that_another_pipeline_took_over_stays_where_it_is(life: Life) -> None:
    life.to_production(life.save())
    life.to_production(life.save(make_spec(rows=2, tables=("flights.daily", "flights.late", "flights.more"))))
    rollback_release(life.ctx, life.as_("lea"), "flights", reason="bad")
    life.to_production(life.save(make_spec(rows=3)))
    other = life.save(make_spec("hotels", tables=("flights.more",)))
    break_glass(life.ctx, life.as_("lea"), "hotels", 1, PRODUCTION, reason="it takes the table over")
    run_id = life.begin(other, PRODUCTION, "hotels")
    life.publish(life.publishing(run_id, "flights.more", PRODUCTION).model_copy(update={"pipeline": "hotels"}))
    theirs = life.plane.head("flights.more", "main")
    assert "flights.more" not in {one.table for one in data_back(life)}
    assert life.plane.head("flights.more", "main") == theirs


def test_l13_data_whose_snapshot_was_expired_cannot_go_back_and_the_code_can(life: Life) -> None:
    life.to_production(life.save())
    life.to_production(life.save(make_spec(rows=2)))
    plan = plan_rollback(life.ctx, life.as_("lea"), "flights", data=True).plan
    gone = plan.tables[0].candidate
    assert gone is not None
    life.plane.expire(plan.tables[0].table, [gone])
    says = f"{plan.tables[0].table} no longer has snapshot {gone}: roll back only the code"
    with pytest.raises(Refused, match=says):
        plan_rollback(life.ctx, life.as_("lea"), "flights", data=True)
    with pytest.raises(Refused, match=says):
        rollback_release(life.ctx, life.as_("lea"), "flights", reason="bad", data=True, consent=plan.digest)
    checks = preview_rollback(life.ctx, life.as_("lea"), "flights", data=True).checks
    assert [says in check.text for check in checks if not check.ok] == [True]
    assert rollback_release(life.ctx, life.as_("lea"), "flights", reason="bad").state is State.DONE
