"""D10, D11: two versions, and two pipelines, at one table."""

from __future__ import annotations

from typing import Any

import pytest
from lab import Node, sink, sql
from lifecycle_lab import PRODUCTION, QA, UAT, LifecycleLab

from lifecycle.domain.plan import Carry
from lifecycle.domain.promotion import State
from lifecycle.errors import Refused

MODES: dict[str, dict[str, Any]] = {
    "append": {"repeat": True},
    "overwrite": {},
    "overwrite_partitions": {"partition_by": ["id"]},
    "merge": {"keys": ["id"]},
}


def in_all_modes(life: LifecycleLab, query: str) -> int:
    parts: list[Node] = [sink(mode, life.named(mode), mode, **more) for mode, more in MODES.items()]
    flow = ", ".join(["raw>shaped", *(f"shaped>{mode}" for mode in MODES)])
    return life.save(life.csv(id="long", n="int"), sql("shaped", query), *parts, flow=flow)


def test_d10_v2_adds_a_column_in_qa_while_v1_goes_on_in_production_in_all_modes(life: LifecycleLab) -> None:
    life.file("a.csv", "id,n\n1,10\n")
    one = in_all_modes(life, "SELECT * FROM raw")
    life.deploy(one, UAT, PRODUCTION)
    life.works(PRODUCTION)
    heads = {mode: life.head(mode) for mode in MODES}

    two = in_all_modes(life, "SELECT *, 'new' AS b FROM raw")
    life.promote(two, QA)
    life.works(QA)
    assert life.on("merge", "qa") == [(1, 10, "new")]
    assert {mode: life.head(mode) for mode in MODES} == heads
    assert [field.name for field in life.table("append").schema().fields] == ["id", "n", "b"], "shared by all branches"

    life.file("a.csv", "id,n\n1,11\n2,20\n")
    life.works(PRODUCTION)
    expected = {
        "append": [(1, 10, None), (1, 11, None), (2, 20, None)],
        "overwrite": [(1, 11, None), (2, 20, None)],
        "overwrite_partitions": [(1, 11, None), (2, 20, None)],
        "merge": [(1, 11, None), (2, 20, None)],
    }
    assert {mode: life.on(mode, "main") for mode in MODES} == expected
    assert life.on("append", "qa") == [(1, 10, "new"), (1, 10, None)]
    life.promote(two, UAT)  # what ran before production went on is evidence still
    life.works(UAT)
    seen = {mode: life.on(mode, "uat") for mode in MODES}
    assert seen["merge"] == [(1, 11, "new"), (2, 20, "new")]
    done = life.promote(two, PRODUCTION)
    assert life.lea.promotions.show(done.id).plan.carry is Carry.SNAPSHOT
    assert {mode: life.on(mode, "main") for mode in MODES} == seen


@pytest.mark.slow
def test_d10_the_column_goes_with_the_version_that_wanted_it_and_v1_goes_on_in_all_modes(life: LifecycleLab) -> None:
    life.file("a.csv", "id,n\n1,10\n")
    one = in_all_modes(life, "SELECT * FROM raw")
    life.deploy(one, UAT, PRODUCTION)
    life.works(PRODUCTION)
    life.promote(in_all_modes(life, "SELECT *, 'new' AS b FROM raw"), QA)
    life.works(QA)
    assert life.reconciled().columns == (), "the version is in QA"

    three = in_all_modes(life, "SELECT id, n FROM raw")
    life.promote(three, QA)
    assert sorted(life.reconciled().columns) == sorted(f"{life.named(mode)}.b" for mode in MODES)
    for mode in MODES:
        assert [field.name for field in life.table(mode).schema().fields] == ["id", "n"], mode
    life.file("a.csv", "id,n\n1,11\n2,20\n")
    life.works(PRODUCTION)
    assert {mode: life.on(mode, "main") for mode in MODES} == {
        "append": [(1, 10), (1, 11), (2, 20)],
        **{mode: [(1, 11), (2, 20)] for mode in MODES if mode != "append"},
    }
    life.works(QA)
    assert life.reconciled().drifts == ()


def shape(life: LifecycleLab, name: str) -> tuple[Any, ...]:
    """What a run on a branch must leave as it is."""
    found = life.table(name)
    return found.schemas(), found.specs(), found.properties, [one.snapshot_id for one in found.snapshots()]


@pytest.mark.slow
def test_l4_d10_another_type_and_another_partitioning_are_tried_aside_and_made_by_productions_first_run(
    life: LifecycleLab,
) -> None:
    life.file("a.csv", "id,n\n1,10\n")

    def version(kind: str, by: str) -> int:
        return life.save(
            life.csv(id="long", n="int"),
            sql("shaped", f"SELECT id, CAST(n AS {kind}) AS n FROM raw"),
            sink("typed", life.named("typed"), "overwrite"),
            sink("split", life.named("split"), "overwrite_partitions", partition_by=[by]),
            flow="raw>shaped>typed, shaped>split",
        )

    life.deploy(version("INT", "id"), UAT, PRODUCTION)
    life.works(PRODUCTION)
    two = version("BIGINT", "n")
    life.deploy(two, UAT)
    before = {name: shape(life, name) for name in ("typed", "split")}
    life.works(UAT)
    assert {name: shape(life, name) for name in before} == before, "the real tables know nothing of it"
    aside = life.catalog.load_table((f"{life.ns}__uat", "typed"))
    assert str(aside.schema().find_field("n").field_type) == "long"

    asked = life.ask(two, PRODUCTION)
    plan = life.lea.promotions.show(asked.id).plan
    assert plan.carry is Carry.CODE
    why = 'column \'n\' is int in the table and long in the result; partitions: ["id"] → ["n"]'
    assert plan.carry_reason == f"{life.named('split')}: {why}"
    assert life.approve(asked).state is State.DONE
    assert {name: shape(life, name) for name in before} == before, "nothing was carried"

    life.file("a.csv", "id,n\n1,10\n2,20\n")
    life.works(PRODUCTION)
    assert str(life.table("typed").schema().find_field("n").field_type) == "long"
    assert [field.name for field in life.table("split").spec().fields] == ["n"]
    assert life.on("typed", "main") == life.on("split", "main") == [(1, 10), (2, 20)]


def test_d11_two_pipelines_and_one_table_are_refused_naming_the_owner_until_it_is_given_up(life: LifecycleLab) -> None:
    life.file("a.csv", "id\n1\n")
    parts = (life.csv(), sink("out", life.named("out"), "overwrite"))
    one = life.save(*parts, flow="raw>out")
    life.deploy(one, UAT, PRODUCTION)
    life.works(PRODUCTION)
    first, second = life.name, f"{life.name}_b"
    with pytest.raises(
        Refused, match=rf"{life.named('out')} is already written by pipeline {first}; only one pipeline may write"
    ):
        life.save(*parts, flow="raw>out", name=second)

    life.lea.environments.retire(first, one, reason="another takes over")
    life.lea.environments.demote(first, one, reason="another takes over")
    life.lea.pipelines.delete(first)
    life.save(*parts, flow="raw>out", name=second)
    life.name = second
    life.deploy(1, PRODUCTION)
    life.file("a.csv", "id\n2\n")
    life.works(PRODUCTION)
    assert life.on("out", "main") == [(2,)]
    assert life.table("out").properties["drls.pipeline"] == second
