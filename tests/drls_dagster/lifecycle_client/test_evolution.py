"""Who may change which table by hand, what a deployed version keeps from being changed, and what is noted."""

from __future__ import annotations

from typing import Any

import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lifecycle_client.calls import Lifecycle
from lifecycle.domain.environment import Environment
from lifecycle.domain.evolution import DropColumn, RollBack
from lifecycle.domain.promotion import State
from lifecycle.domain.roles import Role
from lifecycle.domain.version import Version
from lifecycle.errors import Conflict, Forbidden, Invalid, LifecycleError, NotFound, Refused
from lifecycle.spec import PipelineSpec
from lifecycle.usecases.grant_permit import grant_permit
from lifecycle.usecases.reconcile import reconcile
from tests.drls_dagster.lifecycle_client.conftest import World
from tests.iceberg_tables import make_table
from tests.lifecycle.life import DAGSTER, Life

DAILY, RAW = "flights.daily", "flights_raw.flights"
COLUMNS = {"day": [1, 2], "n": [1, 2], "old": [1, 2]}


def flights(**sink: Any) -> PipelineSpec:
    """Writes day and n into flights.daily; reads day of flights_raw.flights."""
    nodes: list[dict[str, Any]] = [
        {"id": "raw", "type": "source", "source": {"kind": "iceberg", "table": RAW}},
        {"id": "count", "type": "transform", "step": "spark", "sql": "SELECT day, count(*) AS n FROM raw GROUP BY day"},
        {"id": "sink0", "type": "sink", "table": DAILY, "mode": "overwrite", **sink},
        {"id": "checks0", "type": "monitor", "checks": [{"kind": "row_count", "min": 1, "name": "some"}]},
    ]
    edges = [("raw", "count"), ("count", "sink0"), ("sink0", "checks0")]
    return PipelineSpec.model_validate(
        {"format_version": 1, "name": "flights", "nodes": nodes, "edges": [{"from": a, "to": b} for a, b in edges]}
    )


def released(life: Life, **sink: Any) -> Version:
    """v1 of flights is in production."""
    version = life.save(flights(**sink))
    life.to_production(version)
    return version


@pytest.fixture
def lake(world: World) -> World:
    for name in (DAILY, "flights__development.daily", RAW, "lab.scratch"):
        make_table(name, COLUMNS, COLUMNS)
    return world


def columns(name: str) -> list[str]:
    return load_catalog().load_table(name).schema().column_names


def snapshots(name: str) -> list[int]:
    return [one.snapshot_id for one in load_catalog().load_table(name).metadata.snapshots]


def audited(world: World, verb: str = "table.") -> list[tuple[str, dict[str, Any]]]:
    with world.life.store.read() as view:
        return [(one.verb, one.body) for one in view.log.entries() if one.verb.startswith(verb)]


def test_a_lead_changes_a_table_and_the_log_says_why(lake: World, way: str) -> None:
    released(lake.life)
    lea = lake.ask(way, "lea").evolution
    done = lea.add_column(DAILY, "carrier", "string", reason="asked for by finance")
    assert (done.done, done.governed, done.lines) == (True, True, ("add column carrier string",))
    assert "carrier" in columns(DAILY)
    first, last = audited(lake)
    assert (first[0], last[0]) == ("table.changing", "table.changed")
    assert (last[1]["reason"], last[1]["lines"]) == ("asked for by finance", ["add column carrier string"])
    assert last[1]["change"]["kind"] == "add_column"


def test_l15_a_change_by_hand_is_no_drift_and_no_trouble(lake: World) -> None:
    released(lake.life)
    lea = lake.ask("store", "lea").evolution
    lea.add_column(DAILY, "carrier", "string", reason="finance")
    lea.drop_column(DAILY, "old", reason="unused since v1")
    found = reconcile(lake.life.ctx, DAGSTER)
    assert (found.drifts, found.troubles) == ((), ())


def test_production_asks_for_a_reason_and_other_tables_do_not(lake: World, way: str) -> None:
    released(lake.life)
    lea = lake.ask(way, "lea").evolution
    with pytest.raises(Invalid, match="needs a reason"):
        lea.add_column(DAILY, "carrier", "string", reason="  ")
    assert lea.add_column("lab.scratch", "carrier", "string").governed is False
    assert lea.add_column("flights__development.daily", "carrier", "string").done
    assert "carrier" not in columns(DAILY)


def test_a_refusal_names_the_deployed_version_that_uses_the_column(lake: World, way: str) -> None:
    released(lake.life)
    lea = lake.ask(way, "lea").evolution
    before = columns(DAILY)
    for refused in (
        lambda: lea.drop_column(DAILY, "n", reason="x"),
        lambda: lea.rename_column(DAILY, "n", "flights", reason="x"),
    ):
        with pytest.raises(Refused, match="still used: flights v1, deployed in production, writes it in sink 'sink0'"):
            refused()
    with pytest.raises(Refused, match=r"flights v1, deployed in production, reads it in node 'count'"):
        lea.drop_column(RAW, "day")
    assert columns(DAILY) == before
    plan = lea.plan(DAILY, DropColumn(column="n"))
    assert [(use.pipeline, use.version, use.environment) for use in plan.uses] == [
        ("flights", 1, environment) for environment in reversed(list(Environment)[1:])
    ]
    assert plan.refused
    assert not plan.done
    assert lea.drop_column(DAILY, "old", reason="nobody writes it").done
    assert lea.rename_column(RAW, "old", "older").done, "read by nobody"


def test_a_version_in_qa_or_development_counts_where_it_uses_this_very_table(lake: World) -> None:
    lake.life.to_qa(lake.life.save(flights()))
    lea = lake.ask("store", "lea").evolution
    with pytest.raises(Refused, match="flights v1, deployed in QA, writes it"):
        lea.drop_column(DAILY, "n")
    with pytest.raises(Refused, match="flights v1, deployed in development, writes it"):
        lea.drop_column("flights__development.daily", "n")
    with pytest.raises(Refused, match="deployed in QA, reads it"):
        lea.drop_column(RAW, "day")


def test_code_that_cannot_be_traced_is_trusted_only_on_request(lake: World, way: str) -> None:
    python = {
        "id": "count",
        "type": "transform",
        "step": "spark",
        "python": "def transform(spark, raw):\n    return raw\n",
    }
    nodes = [python if node.id == "count" else node.model_dump(mode="json", by_alias=True) for node in flights().nodes]
    data = {**flights().model_dump(mode="json", by_alias=True), "nodes": nodes}
    lake.life.save(PipelineSpec.model_validate(data))
    lea = lake.ask(way, "lea").evolution
    with pytest.raises(Refused, match="may still be used: flights v1, deployed in development"):
        lea.drop_column(RAW, "old")
    assert lea.drop_column(RAW, "old", accept_untraced=True).done


def test_the_deployed_version_defines_the_layout(lake: World, way: str) -> None:
    released(lake.life, partition_by=["bucket(4, day)"], sort_by=[{"column": "n", "order": "desc"}])
    lea = lake.ask(way, "lea").evolution
    with pytest.raises(Refused, match=r"flights v1, deployed in production, lays flights.daily out itself .*bucket\(4"):
        lea.add_partition(DAILY, ("n",), reason="x")
    with pytest.raises(Refused, match="its next run would undo this"):
        lea.set_sort_order(DAILY, ("day",), reason="x")
    assert lea.add_partition(DAILY, ("bucket(4, day)",), reason="as v1 says").done
    assert lea.set_sort_order(DAILY, ("n desc",), reason="as v1 says").done
    with pytest.raises(Refused, match="runs write optional columns only"):
        lea.set_nullable(DAILY, "n", False, reason="x")


def test_governed_refs_move_through_the_lifecycle_only(lake: World, way: str) -> None:
    released(lake.life)
    lea = lake.ask(way, "lea").evolution
    first = str(snapshots(DAILY)[0])
    heads = dict(load_catalog().load_table(DAILY).metadata.refs)
    with pytest.raises(Refused, match="drls rollback flights --data --plan"):
        lea.rollback(DAILY, to=first, reason="x")
    with pytest.raises(Refused, match="only a promotion moves it: drls promote flights --to production"):
        lea.fast_forward(DAILY, "main", "main", reason="x")
    for ref in ("qa", "uat", "QA"):
        with pytest.raises(Refused, match=r"drls session new flights --env (qa|uat)"):
            lea.set_ref(DAILY, ref, "branch", reason="x")
    for ref in ("drls-release-9", "drls-candidate-1", "drls-revert-1", "drls_run_a_b"):
        for act in (lambda ref=ref: lea.set_ref(DAILY, ref, "tag", reason="x"),):
            with pytest.raises(Refused, match="names that begin with drls"):
                act()
    assert load_catalog().load_table(DAILY).metadata.refs == heads
    for refused in (lambda: lea.set_ref(DAILY, "main", "branch", reason="x"),
                    lambda: lea.drop_ref(DAILY, "main", reason="x")):  # fmt: skip
        with pytest.raises(Refused, match="neither made nor dropped"):
            refused()
    for ref in ("7", "a b", "a/b" if way == "store" else "ä"):
        with pytest.raises(Invalid):
            lea.set_ref(DAILY, ref, "tag", reason="x")
    assert lea.set_ref(DAILY, "kept", "tag", reason="for the auditors").done
    assert lea.rollback("flights__development.daily", to=str(snapshots("flights__development.daily")[0])).done
    assert lea.rollback(DAILY, environment=Environment.DEVELOPMENT, to="main").done is False


def test_leads_of_the_writing_pipeline_and_of_everything(lake: World, way: str) -> None:
    lake.life.save(flights())
    lake.add_somebody("lars", Role.LEAD, on="flights")
    lake.add_somebody("nora", Role.DATA_ENGINEER, on="flights")
    lars = lake.ask(way, "lars").evolution
    assert lars.add_column(DAILY, "a", "int").done
    with pytest.raises(Forbidden, match="needs the role LeadDataEngineer on this installation"):
        lars.add_column(RAW, "a", "int")  # which no pipeline writes
    with pytest.raises(NotFound):
        lars.add_column("lab.scratch", "a", "int")
    for name in ("ada", "nora", "vic"):
        with pytest.raises(Forbidden):
            lake.ask(way, name).evolution.add_column(DAILY, "b", "int")
    refused = lake.ask(way, "ada").evolution.plan(DAILY, DropColumn(column="old")).refused
    assert "needs the role LeadDataEngineer" in refused[0]
    assert columns(DAILY) == [*COLUMNS, "a"]


def test_whoever_reads_a_table_hears_nothing_of_a_pipeline_that_they_do_not_see(lake: World) -> None:
    released(lake.life)
    reader = PipelineSpec.model_validate({
        "format_version": 1, "name": "reports",
        "nodes": [{"id": "d", "type": "source", "source": {"kind": "iceberg", "table": DAILY}},
                  {"id": "s", "type": "sink", "table": "reports.out", "mode": "overwrite"}],
        "edges": [{"from": "d", "to": "s"}],
    })  # fmt: skip
    lake.life.save(reader)
    lake.add_somebody("rob", Role.LEAD, on="reports")
    rob = lake.ask("store", "rob").evolution
    told = str(rob.plan(DAILY, DropColumn(column="n"))) + str(rob.plan(DAILY, RollBack(to="main")))
    assert "flights v1" not in told
    assert "pipeline flights" not in told
    with pytest.raises(Forbidden, match="on every pipeline that writes it"):
        rob.drop_column(DAILY, "n", reason="x")


def test_a_repeated_command_is_answered_and_a_plan_that_changed_is_refused(lake: World, way: str) -> None:
    lea = lake.ask(way, "lea").evolution
    first = lea.rename_column("lab.scratch", "old", "older", key="once")
    assert lea.rename_column("lab.scratch", "old", "older", key="once") == first
    assert len(audited(lake)) == 2
    with pytest.raises(Conflict, match="idempotency key"):
        lea.rename_column("lab.scratch", "older", "oldest", key="once")
    plan = lea.plan("lab.scratch", DropColumn(column="older"))
    lea.alter_type("lab.scratch", "n", "long")
    lea.set_doc("lab.scratch", "older", "x")
    assert lea.drop_column("lab.scratch", "older", if_plan=plan.digest).done
    with pytest.raises(Conflict, match="another by now"):
        lea.drop_column("lab.scratch", "n", if_plan=plan.digest)


def test_nothing_changes_while_a_promotion_moves_the_table(lake: World) -> None:
    life = lake.life
    first = released(life)
    second = life.save(flights(properties={"write.target-file-size-bytes": "1048576"}))
    life.to_uat(second)
    life.run(second, Environment.UAT)
    asked = life.ask(second, Environment.PRODUCTION)
    publishing = life.publishing(life.begin(first, Environment.PRODUCTION), DAILY, Environment.PRODUCTION)
    assert grant_permit(life.ctx, DAGSTER, publishing).permit is not None
    assert life.approve(asked).state is State.EXECUTING, "it waits for the permit"
    with pytest.raises(Conflict, match="is executing: wait for it to finish"):
        lake.ask("store", "lea").evolution.add_column(DAILY, "a", "int", reason="x")


def test_a_commit_that_fails_is_noted_as_one(lake: World, monkeypatch: pytest.MonkeyPatch) -> None:
    evolution = lake.life.ctx.evolution
    plan = type(evolution).plan

    def moved(self: Any, table: Any, change: Any) -> Any:
        facts = plan(self, table, change)
        load_catalog().load_table("lab.scratch").append(load_catalog().load_table("lab.scratch").scan().to_arrow())
        return facts

    monkeypatch.setattr(type(evolution), "plan", moved)
    with pytest.raises(Conflict, match="changed meanwhile"):
        lake.ask("store", "lea").evolution.rollback("lab.scratch", to=str(snapshots("lab.scratch")[0]))
    assert [verb for verb, _ in audited(lake)] == ["table.changing", "table.not_changed"]


@pytest.mark.parametrize(
    "act",
    [
        lambda client: client.add_column("nope.nope", "a", "int"),
        lambda client: client.add_column("lab", "a", "int"),
        lambda client: client.add_column("lab.scratch'; DROP TABLE x", "a", "int"),
        lambda client: client.drop_column("lab.scratch", "nope"),
        lambda client: client.add_column("lab.scratch", 'a" int); --', "int"),
        lambda client: client.alter_type("lab.scratch", "n", "long); DROP"),
        lambda client: client.rollback("lab.scratch", to="1"),
        lambda client: client.rollback("lab.scratch"),
        lambda client: client.rollback("lab.scratch", to="main", ref="uat"),
        lambda client: client.set_ref("lab.scratch", "a", "tag", max_ref_age_ms=0),
        lambda client: client.set_ref("lab.scratch", "a", "tag", to="nope"),
        lambda client: client.add_partition("lab.scratch", ()),
        lambda client: client.add_partition("lab.scratch", ("n); DROP",)),
        lambda client: client.diff("lab.scratch", before="nope"),
        lambda client: client.add_column(DAILY, "a", "int", environment=Environment.UAT, reason="x" * 20_000),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(lake: World, way: str, act: Any) -> None:
    before = load_catalog().load_table("lab.scratch").metadata_location
    with pytest.raises(LifecycleError) as refused:
        act(lake.ask(way, "lea").evolution)
    assert 400 <= refused.value.status < 500
    assert "\n" not in refused.value.message
    assert load_catalog().load_table("lab.scratch").metadata_location == before


def test_two_snapshots_are_compared_by_columns_files_and_rows(lake: World, way: str) -> None:
    client: Lifecycle = lake.ask(way, "vic")
    first, second = snapshots("lab.scratch")
    found = client.evolution.diff("lab.scratch", before=str(first), after="main")
    assert (found.relation, found.added.rows, found.removed.rows) == ("descendant", 2, 0)
    assert (found.before.snapshot, found.after.snapshot, found.kept_files) == (first, second, 1)
