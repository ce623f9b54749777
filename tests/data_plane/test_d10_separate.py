"""D10: what a branch of the real table cannot hold goes into a table of the environment's own, with carry: code."""

from __future__ import annotations

from typing import Any, cast

import pyarrow as pa
import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import DoubleType, IcebergType, IntegerType, LongType, NestedField, StringType, StructType

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.evolution import SchemaConflict, beyond_additions
from drls_dagster.lakehouse.locating import find, look_at
from drls_dagster.lakehouse.positions import reset_property
from drls_dagster.lakehouse.prepare import Prepared, prepare_table
from drls_dagster.lakehouse.separate import SEPARATE, GoesSeparate, may_reshape
from drls_dagster.lakehouse.tables import find_table
from lifecycle.domain.environment import Environment
from lifecycle.domain.plan import Carry
from lifecycle.domain.promotion import State
from lifecycle.errors import Conflict
from lifecycle.spec import SinkNode
from lifecycle.usecases.plan_promotion import plan_promotion
from lifecycle.usecases.start_run import finish_run
from tests.fakes.lake import LakePlane
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, UAT, Life, make_spec

DAILY, LATE = "flights.daily", "flights.late"
SAME = {"id": IntegerType(), "note": StringType()}
WIDER = {"id": LongType(), "note": StringType()}


def frame(columns: dict[str, IcebergType]) -> Schema:
    fields = [NestedField(n, name, kind, required=False) for n, (name, kind) in enumerate(columns.items(), 1)]
    return Schema(*fields)


def prepare(lake: LakePlane, environment: str, columns: dict[str, IcebergType], **sink: Any) -> Prepared:
    """What the sink of a run in `environment` does before it writes a result with these columns."""
    node = SinkNode.model_validate({"id": "sink0", "table": DAILY, "mode": "append", **sink})
    look = look_at(lake.catalog, environment, DAILY)
    free = may_reshape(environment, look.location)
    return prepare_table(lake.catalog, look, node, frame(columns), "flights", free=free)


def kinds(lake: LakePlane, name: str = DAILY) -> dict[str, str]:
    return {field.name: str(field.field_type) for field in lake.lake_table(name).schema().fields}


@pytest.mark.parametrize("environment", ["qa", "uat"])
def test_d10_a_new_optional_column_goes_into_the_real_table_and_main_goes_on(lake: LakePlane, environment: str) -> None:
    lake.commit(DAILY)
    made = prepare(lake, environment, {**SAME, "late": DoubleType()})
    assert made.table.name() == ("flights", "daily")
    assert kinds(lake) == {"id": "int", "note": "string", "late": "double"}
    lake.commit(DAILY)  # production's version, which knows nothing of the column
    assert [row["late"] for row in lake.rows(DAILY)] == [None, None]
    assert find(lake.catalog, environment, DAILY)[0].name == DAILY


@pytest.mark.parametrize(
    ("columns", "sink", "why"),
    [
        (WIDER, {}, "column 'id' is int in the table and long in the result"),
        (
            {"id": StringType(), "note": StringType()},
            {"on_schema_change": "rebuild"},
            "column 'id' is int in the table and string in the result",
        ),
        (SAME, {"mode": "overwrite_partitions", "partition_by": ["note"]}, 'partitions: [] → ["note"]'),
    ],
)
def test_d10_what_additions_cannot_hold_goes_separate_and_the_real_table_stays(
    lake: LakePlane, columns: dict[str, IcebergType], sink: dict[str, Any], why: str
) -> None:
    lake.commit(DAILY)
    lake.open_session(QA, [DAILY])
    before = lake.lake_table(DAILY).metadata
    with pytest.raises(GoesSeparate, match=r"flights\.daily cannot hold the result on a branch .* flights__qa\.daily"):
        prepare(lake, "qa", columns, **sink)
    location, table = find(lake.catalog, "qa", DAILY)
    assert table is not None
    assert (location.name, location.ref, table.properties[SEPARATE]) == ("flights__qa.daily", "qa", why)
    made = prepare(lake, "qa", columns, **sink)  # the sink's next try
    assert made.table.name() == ("flights__qa", "daily")
    fits = {name: str(kind) for name, kind in columns.items()}
    assert kinds(lake, "flights__qa.daily") == fits
    assert made.rebuilt is (sink.get("on_schema_change") == "rebuild"), "as production's first run will be"
    assert lake.lake_table(DAILY).metadata == before
    assert find_table(lake.catalog, DAILY, Environment.QA).name == "flights__qa.daily"
    assert lake.table(DAILY, QA).separate == why
    assert lake.table(DAILY, UAT).separate is None
    assert lake.table(DAILY, PRODUCTION).separate is None


def test_d4_d10_a_separate_table_begins_empty_and_takes_over_no_position(lake: LakePlane) -> None:
    base = lake.commit(DAILY)
    with lake.lake_table(DAILY).transaction() as change:
        change.set_properties({**reset_property("a-uuid", base, 42), "drls.pipeline": "flights", "comment": "ours"})
    with pytest.raises(GoesSeparate):
        prepare(lake, "qa", WIDER)
    own = lake.lake_table("flights__qa.daily")
    assert own.current_snapshot() is None
    assert set(own.properties) == {"drls.pipeline", "comment", SEPARATE}


def test_d10_production_and_development_change_their_tables_themselves(lake: LakePlane) -> None:
    lake.commit(DAILY)
    prepare(lake, "production", WIDER, partition_by=["note"])
    assert kinds(lake)["id"] == "long"
    assert len(lake.lake_table(DAILY).spec().fields) == 1
    prepare(lake, "development", SAME)
    prepare(lake, "development", WIDER)
    assert kinds(lake, "flights__development.daily")["id"] == "long"


def test_d10_a_clash_is_refused_in_qa_like_in_production_unless_the_sink_says_rebuild(lake: LakePlane) -> None:
    lake.commit(DAILY)
    for environment in ("qa", "production"):
        with pytest.raises(SchemaConflict, match="cast the column, or set on_schema_change: rebuild"):
            prepare(lake, environment, {"id": StringType(), "note": StringType()})
    assert find(lake.catalog, "qa", DAILY)[0].name == DAILY


def test_d9_d10_a_session_starts_without_the_separate_table_and_spares_runs_branches(lake: LakePlane) -> None:
    base = lake.commit(DAILY)
    with pytest.raises(GoesSeparate):
        prepare(lake, "uat", WIDER)
    refs.create_branch(lake.catalog, lake.lake_table(DAILY), "drls_run_x", base)
    for _ in range(2):
        assert lake.open_session(UAT, [DAILY]) == {DAILY: base}
        assert find(lake.catalog, "uat", DAILY)[0].name == DAILY
    assert lake.head(DAILY, "drls_run_x") == base
    assert lake.table(DAILY, UAT).separate is None


def test_d9_d10_a_separate_table_that_was_made_since_the_session_was_looked_at_is_not_dropped(lake: LakePlane) -> None:
    """Finding 3; failed on 0.1.0: who opened the session late dropped what a quicker run had published."""
    lake.commit(DAILY)
    for _ in range(2):  # there is none yet, then one of the session before
        seen = {DAILY: lake.table(DAILY, UAT)}
        lake.open_session(UAT, [DAILY], seen)
        with pytest.raises(GoesSeparate):
            prepare(lake, "uat", WIDER)
        made = lake.table(DAILY, UAT)
        assert made.separate
        with pytest.raises(Conflict, match="try again"):
            lake.open_session(UAT, [DAILY], seen)
        assert lake.table(DAILY, UAT) == made


def test_d10_a_foreign_table_in_the_place_of_a_separate_one_is_not_dropped(lake: LakePlane) -> None:
    lake.commit(DAILY)
    lake.make("flights__qa.daily")
    with pytest.raises(DrlsError, match=r"table flights__qa\.daily is where DRLS keeps qa's own copy"):
        lake.open_session(QA, [DAILY])
    assert lake.lake_table("flights__qa.daily")


def test_l4_d10_evidence_from_a_separate_table_promotes_code_and_says_why(life: Life) -> None:
    lake = cast(LakePlane, life.plane)
    life.to_production(life.save())
    version = life.save(make_spec(rows=2))
    life.to_uat(version)
    run_id = life.begin(version, UAT)
    with pytest.raises(GoesSeparate):
        prepare(lake, "uat", WIDER)
    prepare(lake, "uat", WIDER)
    own = "flights__uat.daily"
    for number, table in enumerate((DAILY, LATE)):
        asked = life.publishing(run_id, table, UAT, number)
        if table == DAILY:
            row = pa.table({"id": pa.array([3_000_000_000], pa.int64()), "note": ["x"]})
            lake.lake_table(own).append(row)  # to main, and from there to its branch: PyIceberg has no other way
            candidate = lake.head(own, "main")
            assert candidate is not None
            lake._commit(own, [], [refs.set_branch(lake.lake_table(own), "uat", candidate), refs.remove_ref("main")])
            asked = asked.model_copy(update={"base": None, "candidate": candidate})
            from lifecycle.usecases.grant_permit import grant_permit, record_receipt

            leave = grant_permit(life.ctx, DAGSTER, asked)
            assert leave.permit is not None
            record_receipt(life.ctx, DAGSTER, leave.permit.id)
        else:
            life.publish(asked)
    finish_run(life.ctx, DAGSTER, run_id, "flights")
    main = life.plane.head(DAILY, "main")
    plan = plan_promotion(life.ctx, life.as_("ada"), "flights", 2, PRODUCTION).plan
    assert plan.carry is Carry.CODE
    assert plan.carry_reason == f"{DAILY}: column 'id' is int in the table and long in the result"
    done = life.approve(life.ask(version, PRODUCTION))
    assert (done.state, life.plane.head(DAILY, "main"), kinds(lake)["id"]) == (State.DONE, main, "int")
    prepare(lake, "production", WIDER)
    assert kinds(lake)["id"] == "long", "production's first run makes the change"


def test_d10_fields_of_structs_are_added_and_wider_ones_are_not(lake: LakePlane) -> None:
    def nested(**fields: IcebergType) -> Schema:
        inside = [NestedField(10 + n, name, kind, required=False) for n, (name, kind) in enumerate(fields.items())]
        return frame({"s": StructType(*inside)})

    table = nested(a=IntegerType())
    assert beyond_additions(table, nested(a=IntegerType(), b=StringType())) == ()
    assert beyond_additions(table, nested(b=StringType())) == ()
    (why,) = beyond_additions(table, nested(a=LongType()))
    assert why.startswith("column 's' is struct<")


@pytest.mark.parametrize("environment", list(Environment))
def test_a_sinks_environment_decides_what_may_be_reshaped(lake: LakePlane, environment: Environment) -> None:
    location, _ = find(lake.catalog, environment, DAILY)
    assert may_reshape(environment, location) is (environment.value in ("development", "production"))


def test_d10_a_table_that_was_made_sorted_is_not_any_more_when_its_sink_says_so(lake: LakePlane) -> None:
    made = prepare(lake, "development", SAME, sort_by=["note"]).table
    assert [field.source_id for field in made.sort_order().fields] == [2]
    for _ in range(2):
        assert prepare(lake, "development", SAME).table.sort_order().fields == []
