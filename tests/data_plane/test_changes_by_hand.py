"""What a change of a table by hand means to open plans, to drift and to the next release, on real tables (D10, L15)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drls_dagster.lakehouse.altering import IcebergEvolution
from lifecycle.domain.evolution import AddColumn, AlterPartitions, DropRef, RollBack, SetRef
from lifecycle.domain.promotion import State
from lifecycle.domain.tables import TableAt
from lifecycle.errors import Refused
from lifecycle.usecases.change_table import change_table
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.reconcile import reconcile
from tests.data_plane.test_d10_layout import CHANGES, DAILY, LAYOUT, laid_out, lake_of
from tests.lifecycle.life import PRODUCTION, SETUP, UAT, Life, make_spec

AT = TableAt(name=DAILY)


@pytest.fixture(autouse=True)
def evolution(life: Life) -> None:
    life.ctx = replace(life.ctx, evolution=IcebergEvolution(lake_of(life).settings))


def test_d10_an_open_plan_whose_layout_changes_differ_by_hand_is_stale_and_names_the_field(life: Life) -> None:
    lake_of(life).commit(DAILY)
    version = life.save(laid_out(1, **LAYOUT))
    life.to_uat(version)
    life.run(version, UAT)
    asked = life.ask(version, PRODUCTION)
    assert asked.plan.tables[0].metadata_changes == CHANGES
    done = change_table(life.ctx, life.as_("lea"), AT, AlterPartitions(add=("bucket(4, id)",)), reason="early")
    assert done.lines == CHANGES[:1]
    answered = life.approve(asked)
    assert answered.state is State.STALE
    assert f"tables[{DAILY}].metadata_changes" in answered.outcome
    again = plan_promotion(life.ctx, life.as_("ada"), "flights", version.number, PRODUCTION).plan
    assert again.tables[0].metadata_changes == CHANGES[1:]


def test_l15_columns_and_tags_by_hand_are_no_drift_and_the_next_release_goes_through(life: Life) -> None:
    life.to_production(life.save())
    lea = life.as_("lea")
    second = life.save(make_spec(rows=2))
    life.to_uat(second)
    life.run(second, UAT)
    asked = life.ask(second, PRODUCTION)
    head = lake_of(life).head(DAILY, "main")
    assert change_table(life.ctx, lea, AT, AddColumn(column="carrier", type="string"), reason="finance").governed
    assert change_table(life.ctx, lea, AT, SetRef(ref="audit-2026", type="tag"), reason="auditors").done
    found = reconcile(life.ctx, SETUP)
    assert (found.drifts, found.troubles) == ((), ())
    assert lake_of(life).head(DAILY, "main") == head
    assert life.approve(asked).state is State.DONE
    assert lake_of(life).lake_table(DAILY).schema().find_field("carrier").optional
    with pytest.raises(Refused, match="drls rollback flights --data"):
        change_table(life.ctx, lea, AT, RollBack(to=str(head)), reason="x")
    release = next(name for name in lake_of(life).tags(DAILY) if name.startswith("drls-release-"))
    with pytest.raises(Refused, match="begin with drls"):
        change_table(life.ctx, lea, AT, DropRef(ref=release), reason="x")
    assert reconcile(life.ctx, SETUP).drifts == ()
