"""D10: partitioning, sort order and properties change only while a promotion executes, and stand in its plan."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.layout import (
    LayoutChange,
    format_change,
    is_listed,
    parse_change,
    present,
    wanted_changes,
)
from drls_dagster.lakehouse.locating import look_at
from drls_dagster.lakehouse.prepare import prepare_table
from drls_dagster.lakehouse.separate import may_reshape
from lifecycle.domain.plan import Carry
from lifecycle.domain.promotion import State
from lifecycle.domain.version import Version
from lifecycle.ports import Move, MoveResult
from lifecycle.spec import PipelineSpec, SinkNode
from lifecycle.usecases.plan_promotion import plan_promotion
from tests.fakes.lake import LakePlane
from tests.lifecycle.life import PRODUCTION, UAT, Life, make_spec

DAILY = "flights.daily"
LAYOUT: dict[str, Any] = {
    "partition_by": ["bucket(4, id)"],
    "sort_by": ["note", {"column": "id", "order": "desc"}],
    "properties": {"write.target-file-size-bytes": "2097152"},
}
CHANGES = (
    'partitions: [] → ["bucket(4, id)"]',
    'sort order: [] → ["note", "id desc"]',
    'property "write.target-file-size-bytes": null → "2097152"',
)


def laid_out(rows: int, **layout: Any) -> PipelineSpec:
    """A version whose first sink asks for a layout."""
    spec = make_spec(rows=rows)
    nodes = [node.model_dump(mode="json", by_alias=True) for node in spec.nodes]
    nodes = [{**node, **layout} if node["id"] == "sink0" else node for node in nodes]
    return PipelineSpec.model_validate({**spec.model_dump(mode="json", by_alias=True), "nodes": nodes})


def lake_of(life: Life) -> LakePlane:
    return cast(LakePlane, life.plane)


def prepared(life: Life, environment: str, version: Version) -> None:
    """What the sink of a run does before it writes."""
    spec = PipelineSpec.model_validate_json(version.spec, by_alias=True, by_name=False)
    catalog = lake_of(life).catalog
    look = look_at(catalog, environment, DAILY)
    assert look.table is not None
    free = may_reshape(environment, look.location)
    prepare_table(catalog, look, spec.sinks[0], look.table.schema(), spec.name, free=free)


def layout_of(life: Life) -> tuple[Any, ...]:
    metadata = lake_of(life).lake_table(DAILY).metadata
    return tuple(present(metadata, what) for what in ("partitions", "sort order", "write.target-file-size-bytes"))


def test_d10_a_new_layout_waits_for_the_promotion_and_stands_in_its_plan(life: Life) -> None:
    life.to_production(life.save())
    old = layout_of(life)
    version = life.save(laid_out(2, **LAYOUT))
    life.to_uat(version)
    prepared(life, "qa", version)
    life.run(version, UAT)
    prepared(life, "uat", version)
    assert layout_of(life) == old

    asked = life.ask(version, PRODUCTION)
    assert asked.plan.carry is Carry.SNAPSHOT
    assert asked.plan.tables[0].metadata_changes == CHANGES
    before = len(lake_of(life).lake_table(DAILY).metadata.metadata_log)
    done = life.approve(asked)
    assert (done.state, done.outcome) == (State.DONE, "")
    assert layout_of(life) == (("bucket(4, id)",), ("note", "id desc"), "2097152")
    # One commit moved the ref, tagged it and changed the layout; the other took the request's own tag away.
    assert len(lake_of(life).lake_table(DAILY).metadata.metadata_log) == before + 2
    prepared(life, "production", version)
    assert len(lake_of(life).lake_table(DAILY).metadata.metadata_log) == before + 2, "nothing is left to change"
    assert plan_promotion(life.ctx, life.as_("ada"), "flights", 2, PRODUCTION).plan.tables[0].metadata_changes == ()


def test_d10_a_layout_that_others_changed_meanwhile_makes_the_plan_stale_naming_it(life: Life) -> None:
    from lifecycle.domain.policy import HoldKind
    from lifecycle.usecases.execute_promotion import execute_promotion
    from lifecycle.usecases.holding import lift_hold, set_hold
    from tests.lifecycle.life import SETUP

    life.to_production(life.save())
    version = life.save(laid_out(2, **LAYOUT))
    life.to_uat(version)
    life.run(version, UAT)
    hold = set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="wait")
    asked = life.approve(life.ask(version, PRODUCTION))
    with lake_of(life).lake_table(DAILY).transaction() as change:
        change.set_properties({"write.target-file-size-bytes": "7"})
    lift_hold(life.ctx, life.as_("lea"), hold.id)
    stale = execute_promotion(life.ctx, SETUP, asked.id).promotion
    assert stale.state is State.STALE
    assert f"tables[{DAILY}].metadata_changes" in stale.outcome


def test_d10_undoing_a_move_takes_its_layout_back_but_not_what_others_made_of_it(lake: LakePlane) -> None:
    base = lake.commit(DAILY)
    move = Move(
        table=DAILY, ref="main", base=base, candidate=lake.write(DAILY, base), tag="t", metadata_changes=CHANGES
    )
    assert lake.move(move, PRODUCTION) is MoveResult.MOVED
    with lake.lake_table(DAILY).transaction() as change:
        change.set_properties({"write.target-file-size-bytes": "7"})
    assert lake.undo(move, PRODUCTION)
    metadata = lake.lake_table(DAILY).metadata
    assert (present(metadata, "partitions"), present(metadata, "sort order")) == ((), ())
    assert metadata.properties["write.target-file-size-bytes"] == "7"
    assert (lake.head(DAILY, "main"), lake.tags(DAILY)) == (base, {})

    lake.lake_table(DAILY).append(lake.lake_table(DAILY).scan().to_arrow())
    assert len(lake.rows(DAILY)) == 2, "written with the first partition spec again"


def test_d10_a_move_conflicts_where_a_change_starts_from_something_else(lake: LakePlane) -> None:
    base = lake.commit(DAILY)
    for change in ('property "write.x": "1" → "2"', 'partitions: ["day(at)"] → ["note"]'):
        move = Move(
            table=DAILY, ref="main", base=base, candidate=lake.write(DAILY, base), tag="t", metadata_changes=(change,)
        )
        assert lake.move(move, PRODUCTION) is MoveResult.CONFLICT
    assert (lake.head(DAILY, "main"), lake.tags(DAILY)) == (base, {})


def test_d10_properties_that_are_not_on_the_list_are_refused_on_a_shared_table(life: Life) -> None:
    life.to_production(life.save())
    version = life.save(laid_out(2, properties={"gc.enabled": "false"}))
    with pytest.raises(DrlsError, match=r"sink 'sink0' wants property \"gc.enabled\": null → \"false\", which DRLS"):
        prepared(life, "qa", version)
    assert lake_of(life).metadata_changes(version.spec, PRODUCTION)[DAILY] == ()


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("write.format.default", True),
        ("commit.retry.num-retries", True),
        ("history.expire.max-snapshot-age-ms", True),
        ("comment", True),
        ("write.data.path", False),
        ("write.location-provider.impl", False),
        ("write.wap.enabled", False),
        ("drls.pipeline", False),
        ("gc.enabled", False),
    ],
)
def test_d10_what_may_change(name: str, listed: bool) -> None:
    assert is_listed(LayoutChange(name, None, "x")) is listed


VALUES = st.none() | st.text()


@given(st.text(), VALUES, VALUES)
def test_d10_a_property_change_is_a_line_that_reads_back(name: str, was: str | None, becomes: str | None) -> None:
    change = LayoutChange(name, was, becomes)
    if change.is_property:
        assert parse_change(format_change(change)) == change
        assert "\n" not in format_change(change)


@given(st.sampled_from(["partitions", "sort order"]), st.lists(st.text()), st.lists(st.text()))
def test_d10_a_layout_change_is_a_line_that_reads_back(what: str, was: list[str], becomes: list[str]) -> None:
    change = LayoutChange(what, tuple(was), tuple(becomes))
    assert parse_change(format_change(change)) == change


@pytest.mark.parametrize("text", ["", "add x", "partitions: [] → [", 'property x: null → "1"', "partitions: [] → [] "])
def test_d10_what_is_no_change_is_refused(text: str) -> None:
    with pytest.raises(DrlsError, match="is not a metadata change"):
        parse_change(text)


def test_d10_names_go_by_the_tables_spelling_and_field_order_is_no_change(lake: LakePlane) -> None:
    lake.commit(DAILY)

    def wanted(**layout: Any) -> list[str]:
        sink = SinkNode.model_validate({"id": "s", "table": DAILY, "mode": "append", **layout})
        return [format_change(change) for change in wanted_changes(lake.lake_table(DAILY).metadata, sink)]

    assert wanted(partition_by=["NOTE"], properties={"format-version": "2"}) == ['partitions: [] → ["note"]']
    changes = tuple(wanted(partition_by=["note", "truncate(2, note)"]))
    base = lake.head(DAILY, "main")
    candidate = lake.write(DAILY, base)
    lake.move(
        Move(table=DAILY, ref="main", base=base, candidate=candidate, tag="t", metadata_changes=changes), PRODUCTION
    )
    assert wanted(partition_by=["truncate(2, note)", "note"]) == []
    assert wanted() == ['partitions: ["note", "truncate(2, note)"] → []']
