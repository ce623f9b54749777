"""Searching, lineage, history and a pipeline in short: both ways, and only of what somebody may see."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.domain.policy import HoldKind
from lifecycle.domain.roles import Role
from lifecycle.errors import Forbidden, NotFound
from lifecycle.spec import PipelineSpec, dump_yaml
from lifecycle.usecases.find import Kind
from lifecycle.usecases.trace import Direction
from tests.drls_dagster.lifecycle_client.conftest import World
from tests.lifecycle.life import PRODUCTION, QA, UAT, make_spec


def chain(name: str, source: str, target: str, sql: str = "SELECT day, delay FROM raw", **more: Any) -> PipelineSpec:
    """A pipeline that reads one table and writes another."""
    return PipelineSpec.model_validate(
        {
            "format_version": 1,
            "name": name,
            "nodes": [
                {"id": "raw", "type": "source", "source": {"kind": "iceberg", "table": source}},
                {"id": "made", "type": "transform", "step": "spark", "sql": sql},
                {"id": "out", "type": "sink", "table": target, "mode": "overwrite"},
            ],
            "edges": [{"from": "raw", "to": "made"}, {"from": "made", "to": "out"}],
            **more,
        }
    )


@pytest.fixture
def chained(world: World) -> World:
    """land.raw → one → a.one → two → b.two → three → c.three; Tim sees `two` alone."""
    life = world.life
    life.save(chain("one", "land.raw", "a.one", owners=["ada@example.org"], tags={"domain": "air"}))
    life.save(
        chain("two", "a.one", "b.two", "SELECT day, delay * 60 AS seconds FROM raw", description="Made of delays")
    )
    life.save(chain("three", "b.two", "c.three", "SELECT max(seconds) AS worst FROM raw"))
    world.add_somebody("tim", Role.VIEWER, on="two")
    return world


def test_pipelines_tables_and_assets_are_found(chained: World, way: str) -> None:
    search = chained.ask(way, "vic").catalog.search
    assert [(one.kind, one.name) for one in search(text="one")] == [
        (Kind.PIPELINE, "one"), (Kind.ASSET, "one/made"), (Kind.TABLE, "a.one"),
    ]  # fmt: skip
    (table,) = search(text="a.one")
    assert (table.pipeline, table.readers) == ("one", ("two",))
    (land,) = search(text="land")
    assert (land.pipeline, land.readers) == (None, ("one",))
    assert [one.name for one in search(text="delays", kind=Kind.PIPELINE)] == ["two"]
    assert [one.name for one in search(owner="ada@example.org", kind=Kind.PIPELINE)] == ["one"]
    assert {one.pipeline or one.readers[0] for one in search(tag="domain=air")} == {"one"}
    assert search(tag="domain=sea") == ()
    assert [(one.name, one.columns) for one in search(column="second")] == [
        ("b.two", ("seconds",)), ("two/made", ("seconds",)),
    ]  # fmt: skip


def test_every_page_of_a_search_follows_the_one_before(chained: World, way: str) -> None:
    search = chained.ask(way, "vic").catalog.search
    whole = [(one.kind, one.name) for one in search()]
    assert [(one.kind, one.name) for one in search(limit=3)] == whole[:3]
    assert len(set(whole)) == len(whole) == 3 + 3 + 4


def test_somebody_finds_only_what_they_may_see(chained: World, way: str) -> None:
    catalog = chained.ask(way, "tim").catalog
    assert {one.name for one in catalog.search()} == {"two", "two/made", "a.one", "b.two"}
    assert {one.readers or (one.pipeline,) for one in catalog.search(kind=Kind.TABLE)} == {("two",)}
    (table,) = catalog.search(text="a.one")
    assert table.pipeline is None
    assert {one.pipeline for one in catalog.lineage("a.one").arrows} == {"two"}
    assert {one.pipeline for one in catalog.history()} <= {"two", None}
    with pytest.raises(NotFound, match=r"no table or pipeline 'c\.three' that you may see"):
        catalog.lineage("c.three")
    for ask in (lambda: catalog.about("one"), lambda: catalog.history(pipeline="one")):
        with pytest.raises(Forbidden):
            ask()


def test_lineage_goes_both_ways_up_to_a_depth(chained: World, way: str) -> None:
    lineage = chained.ask(way, "vic").catalog.lineage
    found = lineage("b.two", depth=5)
    assert [(one.steps, one.source, one.pipeline, one.target) for one in found.arrows] == [
        (-2, "land.raw", "one", "a.one"),
        (-1, "a.one", "two", "b.two"),
        (1, "b.two", "three", "c.three"),
    ]
    assert not found.more
    near = lineage("b.two", direction=Direction.UP, depth=1)
    assert [one.pipeline for one in near.arrows] == ["two"]
    assert near.more
    assert [(one.steps, one.pipeline) for one in lineage("two", depth=1).arrows] == [
        (-1, "one"),
        (0, "two"),
        (1, "three"),
    ]


def test_a_column_is_followed_through_pipelines(chained: World, way: str) -> None:
    lineage = chained.ask(way, "vic").catalog.lineage
    found = lineage("c.three", column="worst", depth=5)
    assert [(one.pipeline, one.columns) for one in found.arrows] == [
        ("one", {"delay": ("delay",)}),
        ("two", {"seconds": ("delay",)}),
        ("three", {"worst": ("seconds",)}),
    ]
    assert [one.pipeline for one in lineage("land.raw", column="delay", depth=5).arrows] == ["one", "two", "three"]
    assert lineage("c.three", column="nothing").arrows == ()


def test_history_says_who_did_what_and_why(world: World, way: str) -> None:
    life = world.life
    version = life.save(message="begin")
    life.to_qa(version)
    life.run(version, QA)
    life.approve(life.ask(version, UAT))
    world.ask(way, "lea").environments.set_hold(HoldKind.FREEZE, PRODUCTION, reason="holidays")
    history = world.ask(way, "vic").catalog.history
    events = history(pipeline="flights")
    told = [(one.what, one.by) for one in events]
    assert told[-1] == ("saved v1", "ada")
    assert ("approved request 2", "lea") in told
    assert ("promoted v1 to UAT", "executor for lea") in told
    assert {one.pipeline for one in events} == {"flights"}
    (frozen,) = history(environment=PRODUCTION, limit=1)
    assert (frozen.what, frozen.by, frozen.reason) == ("froze production", "lea", "holidays")
    whole = [one.sequence for one in history(limit=500)]
    assert whole == sorted(whole, reverse=True)
    assert [one.sequence for one in history(before=whole[2])] == whole[3:]


def test_a_pipeline_in_short_says_what_is_in_its_way(world: World, way: str) -> None:
    life = world.life
    life.save(make_spec(description="Delays", owners=["ada@example.org"]))
    life.to_qa(life.save(make_spec(rows=2), message="more"))
    world.ask(way, "lea").environments.set_hold(HoldKind.STOP, QA, "flights", reason="repairs")
    catalog = world.ask(way, "vic").catalog
    about = catalog.about("flights")
    assert (about.version, about.newest, about.author, about.message) == (2, 2, "ada", "more")
    assert {one.environment.value: one.version for one in about.active} == {"development": 2, "qa": 2}
    assert about.blocks == ("stop of QA: repairs",)
    assert about.starts == "when somebody starts it"
    assert [one.what for one in about.steps if one.node == "sink0"] == ["writes flights.daily, overwrite"]
    assert catalog.about("flights", 1).description == "Delays"
    with pytest.raises(NotFound, match="no version 7"):
        catalog.about("flights", 7)


def test_what_validates_can_be_saved_and_what_does_not_says_why(world: World, way: str) -> None:
    ada = world.ask(way, "ada").pipelines
    text = dump_yaml(make_spec())
    good = ada.validate(text)
    assert (good.valid, good.name, good.version) == (True, "flights", None)
    assert "it has no owners: add owners, so that people know whom to ask" in good.hints
    saved = ada.save(make_spec())
    assert saved.digest == good.digest
    assert ada.validate(text).version == 1
    wrong = ada.validate(text.replace("kind: iceberg", "kind: icebreg"))
    assert not wrong.valid
    (flaw,) = wrong.problems
    assert text.splitlines()[(flaw.line or 0) - 1].strip() == "source:"
    assert (flaw.node, flaw.remedy) == ("raw", "did you mean 'iceberg'?")
    taken = ada.validate(dump_yaml(make_spec("trains", tables=("flights.daily",))))
    assert [one.message for one in taken.problems] == ["flights.daily is already written by pipeline flights"]
    with pytest.raises(Forbidden, match="needs the role DataEngineer"):
        world.ask(way, "vic").pipelines.validate(text)


def test_code_that_is_missing_is_a_problem_before_it_is_saved(world: World, way: str) -> None:
    ada = world.ask(way, "ada").pipelines
    step = {"id": "made", "type": "transform", "step": "spark", "entrypoint": "scoring:score"}
    spec = chain("scored", "land.raw", "a.scored")
    nodes = [step if one["id"] == "made" else one for one in spec.model_dump(by_alias=True)["nodes"]]
    spec = PipelineSpec.model_validate({**spec.model_dump(by_alias=True, exclude_defaults=True), "nodes": nodes})
    missing = ada.validate(dump_yaml(spec))
    assert not missing.valid
    assert missing.problems[0].node == "made"
    code = {"scoring.py": "ZGVmIHNjb3JlKHNwYXJrLCByYXcpOgogICAgcmV0dXJuIHJhdwo="}
    assert ada.validate(dump_yaml(spec), code=code).valid


def test_a_request_says_how_far_its_quorum_is_filled(world: World, way: str) -> None:
    version = world.life.save()
    world.life.to_qa(version)
    world.life.run(version, QA)
    asked = world.life.ask(version, UAT)
    show = world.ask(way, "vic").promotions.show
    assert show(asked.id).seats == ("0 of 1 LeadDataEngineer",)
    world.ask(way, "lea").environments.set_hold(HoldKind.FREEZE, UAT, reason="holidays")
    world.life.approve(asked)
    assert show(asked.id).seats == ("1 of 1 LeadDataEngineer (lea)",)
    assert show(asked.id).waiting == "UAT is frozen: holidays"
