"""Each field of a plan, changed after the approval, makes the request stale and is named (L3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.domain.environment import Environment
from lifecycle.domain.plan import Carry, InputPlan, Plan, PositionPlan, TablePlan, plan_changes
from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.promotion import Promotion, State
from lifecycle.usecases.execute_promotion import execute_promotion
from lifecycle.usecases.holding import lift_hold, set_hold
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.set_policy import set_policy
from tests.lifecycle.life import PRODUCTION, SETUP, UAT, Life, make_spec

PLAN = Plan(
    pipeline="p", version=1, spec_digest="d", source=Environment.UAT, target=Environment.PRODUCTION, replaces=None,
    carry=Carry.SNAPSHOT, carry_reason="r", session=1, parameters={"day": "x"},
    inputs=(InputPlan(node="raw", name="ns.raw", table_uuid="u", ref="main", snapshot=7, fingerprint="f"),),
    tables=(TablePlan(table="ns.t", table_uuid="u", base=1, candidate=2, metadata_changes=("add x",)),),
    positions=(PositionPlan(table="ns.t", source="ns.raw", state="reset", position=5, rows=3),),
    receipts=(1, 2), policy=1,
)  # fmt: skip
OTHER = {
    "kind": "break-glass", "pipeline": "q", "version": 2, "spec_digest": "e", "source": Environment.QA,
    "target": Environment.UAT, "replaces": "z", "carry": Carry.CODE, "carry_reason": "s", "session": 2,
    "parameters": {"day": "y"}, "receipts": (1,), "policy": 2,
}  # fmt: skip
NESTED = [
    ("inputs", {"name": "o", "table_uuid": "v", "ref": "x", "snapshot": 8, "fingerprint": "g", "node": "n"}),
    (
        "tables",
        {"table": "o", "table_uuid": "v", "base": 9, "candidate": 9, "metadata_changes": (), "seal": "sha256:1"},
    ),
    ("positions", {"table": "o", "source": "o", "state": "lost", "position": 9}),
]


def test_l3_every_field_of_a_plan_is_covered_here() -> None:
    nested = {name for name, _ in NESTED}
    assert set(Plan.model_fields) == {*OTHER, *nested, "format_version"}
    for name, fields in NESTED:
        assert set(fields) == set(type(getattr(PLAN, name)[0]).model_fields) - {"rows"}


def test_l3_what_moves_with_each_run_is_shown_and_not_approved() -> None:
    def plan(**fields: Any) -> Plan:
        return PLAN.model_copy(update={"positions": (PLAN.positions[0].model_copy(update=fields),)})

    assert plan(rows=9).digest == PLAN.digest
    going_on = plan(state="continues")
    assert plan(state="continues", position=9, rows=9).digest == going_on.digest
    assert plan_changes(going_on, plan(state="continues", position=9, rows=9)) == ()
    assert going_on.digest != PLAN.digest
    assert plan(state="new", position=None).digest != PLAN.digest


@pytest.mark.parametrize("field", OTHER)
def test_l3_a_changed_field_is_named(field: str) -> None:
    other = PLAN.model_copy(update={field: OTHER[field]})
    assert [change.field for change in plan_changes(PLAN, other)] == [field]
    assert other.digest != PLAN.digest


@pytest.mark.parametrize(("group", "field"), [(group, field) for group, fields in NESTED for field in fields])
def test_l3_a_changed_nested_field_is_named(group: str, field: str) -> None:
    value = dict(NESTED)[group][field]
    (item,) = getattr(PLAN, group)
    other = PLAN.model_copy(update={group: (item.model_copy(update={field: value}),)})
    names = [change.field for change in plan_changes(PLAN, other)]
    assert names
    assert all(name.startswith(f"{group}[") for name in names)
    assert other.digest != PLAN.digest


def test_d10_a_promotion_of_code_warns_of_what_productions_first_run_changes(life: Life) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    life.plane.say("metadata:flights.late", ['partitions: [] → ["day"]'])
    carried = plan_promotion(life.ctx, life.as_("ada"), "flights", 1, PRODUCTION)
    assert [table.metadata_changes for table in carried.plan.tables] == [(), ('partitions: [] → ["day"]',)]
    assert carried.advice.warnings == ()
    life.plane.say("separate:flights.late", "it is wider")
    code = plan_promotion(life.ctx, life.as_("ada"), "flights", 1, PRODUCTION)
    assert [table.metadata_changes for table in code.plan.tables] == [(), ()]
    assert code.advice.warnings == ('flights.late: production\'s first run changes partitions: [] → ["day"]',)


@given(st.permutations(["a", "b", "c"]))
def test_l3_no_changes_exactly_when_the_digests_are_equal(order: list[str]) -> None:
    tables = tuple(TablePlan(table=name) for name in "abc")
    plan = PLAN.model_copy(update={"tables": tables})
    other = PLAN.model_copy(update={"tables": tuple(TablePlan(table=name) for name in order)})
    assert (plan_changes(plan, other) == ()) == (plan.digest == other.digest)


def change_policy(life: Life, _: Promotion) -> None:
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, None, Policy(reminder=None))


def change_target_connection(life: Life, _: Promotion) -> None:
    life.plane.say("positions", [{"table": "flights.daily", "source": "x", "state": "lost"}])


def change_uuid(life: Life, _: Promotion) -> None:
    life.plane.say("uuid:flights.daily", "another table")


def change_metadata(life: Life, _: Promotion) -> None:
    life.plane.say("metadata:flights.late", ["add column x"])


def change_carry(life: Life, _: Promotion) -> None:
    life.plane.say("separate:flights.late", "it lives in another catalog")


def release_another(life: Life, asked: Promotion) -> None:
    from lifecycle.usecases.break_glass import break_glass

    life.save(make_spec(rows=9))
    break_glass(life.ctx, life.as_("leo"), "flights", 2, PRODUCTION, reason="down")


def drift_in_uat(life: Life, _: Promotion) -> None:
    from lifecycle.usecases.reconcile import reconcile

    life.plane.commit("flights.daily", "uat")
    assert reconcile(life.ctx, SETUP).drifts


REAL: list[tuple[Callable[[Life, Promotion], None], str]] = [
    (change_policy, "policy: "),
    (change_target_connection, "positions[flights.daily/x]"),
    (change_uuid, "tables[flights.daily].table_uuid"),
    (change_metadata, "tables[flights.late].metadata_changes"),
    (change_carry, "carry: snapshot → code"),
    (release_another, "replaces: none → sha256:"),
    (drift_in_uat, "flights.daily has drifted on uat"),
]


@pytest.mark.parametrize(("change", "named"), REAL, ids=[change.__name__ for change, _ in REAL])
def test_l3_what_really_changes_after_the_approval_makes_it_stale(life: Life, change, named: str) -> None:
    version = life.save()
    life.to_uat(version)
    life.run(version, UAT)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="wait")
    asked = life.approve(life.ask(version, PRODUCTION))
    assert asked.state is State.APPROVED
    change(life, asked)
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    stale = execute_promotion(life.ctx, SETUP, asked.id).promotion
    assert stale.state is State.STALE
    assert named in stale.outcome
    assert life.plane.tags("flights.daily") == {}
