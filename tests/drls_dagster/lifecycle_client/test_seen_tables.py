"""Who sees which tables: those of the pipelines that somebody sees, and nothing about the others, not even their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lifecycle_client.calls import Lifecycle
from lifecycle.domain.environment import Environment
from lifecycle.domain.roles import Role
from lifecycle.errors import Invalid, NotFound
from tests.drls_dagster.lifecycle_client.conftest import World
from tests.iceberg_tables import make_table
from tests.lifecycle.life import QA, SETUP, make_spec

OWN = "flights.daily"
HIDDEN = ("trains.daily", "private.salaries")
ASKS: dict[str, Callable[[Lifecycle, str], Any]] = {
    "show": lambda client, name: client.tables.show(name),
    "schema": lambda client, name: client.tables.schema(name),
    "history": lambda client, name: client.tables.history(name),
    "preview": lambda client, name: client.tables.preview(name),
    "statistics": lambda client, name: client.tables.statistics(name),
    "files": lambda client, name: client.tables.files(name),
    "changes": lambda client, name: client.tables.changes(name),
    "health": lambda client, name: client.tables.health(name),
    "health history": lambda client, name: client.tables.health_history(name),
    "query": lambda client, name: client.tables.query(f"SELECT * FROM {name}"),
    "in qa": lambda client, name: client.tables.show(name, environment=QA),
    "query in qa": lambda client, name: client.tables.query(f"SELECT * FROM {name}", environment=QA),
}


@pytest.fixture
def lake(world: World) -> World:
    """The pipelines flights and trains with a table each, a copy in development, and a table of no pipeline."""
    world.life.save()
    world.life.save(make_spec("trains"))
    for name in (OWN, "flights__development.daily", "flights_raw.flights", *HIDDEN):
        make_table(name, {"x": [1]})
    world.add_somebody("tim", Role.VIEWER, on="flights")
    return world


def test_a_grant_on_one_pipeline_shows_its_tables_alone(lake: World, way: str) -> None:
    tim, vic = (lake.ask(way, name) for name in ("tim", "vic"))
    own = [OWN, "flights__development.daily", "flights_raw.flights"]
    assert [one.name for one in tim.tables.list()] == own
    assert [one.name for one in vic.tables.list()] == sorted([*own, *HIDDEN])
    assert {one.name: one.written_by for one in tim.tables.list()} == {
        OWN: ("flights",), "flights__development.daily": ("flights",), "flights_raw.flights": ()
    }  # fmt: skip
    assert tim.tables.preview(OWN).rows == ((1,),)
    assert tim.tables.preview(OWN, environment=Environment.DEVELOPMENT).name == "flights__development.daily"
    assert tim.tables.query("SELECT sum(a.x + b.x) FROM flights.daily a, flights_raw.flights b").rows == (("2",),)


@pytest.mark.parametrize("ask", ASKS)
def test_unseen_and_unknown_tables_are_answered_alike(lake: World, ask: str) -> None:
    for way in ("store", "server"):
        tim = lake.ask(way, "tim")
        said: set[str] = set()
        for name in (*HIDDEN, "trains.nothing", "trains__development.daily"):
            with pytest.raises(NotFound) as refused:
                ASKS[ask](tim, name)
            said.add(str(refused.value).replace(name, "T"))
        assert said == {
            "there is no table T that you may see; name its environment if a pipeline writes it, or list all: drls table list"
        }
        with pytest.raises(NotFound) as refused:
            ASKS[ask](lake.ask(way, "vic"), "trains.nothing")
        assert str(refused.value).replace("trains.nothing", "T") in said


def test_a_query_that_names_one_unseen_table_reads_none(lake: World) -> None:
    tim = lake.ask("store", "tim")
    for sql in (
        "SELECT * FROM flights.daily WHERE x IN (SELECT x FROM private.salaries)",
        "WITH daily AS (SELECT * FROM private.salaries) SELECT * FROM daily",
        'SELECT * FROM flights.daily UNION ALL SELECT * FROM "private"."salaries"',
        "SELECT (SELECT max(x) FROM private.salaries) FROM flights.daily",
        "SELECT * FROM flights.daily JOIN LATERAL (SELECT * FROM private.salaries) s ON true",
    ):
        with pytest.raises(NotFound, match=r"no table private\.salaries that you may see"):
            tim.tables.query(sql)


def test_a_table_is_seen_as_long_as_the_newest_or_an_active_version_uses_it(lake: World) -> None:
    tim = lake.ask("store", "tim")
    first = lake.life.save(make_spec("flights", tables=("flights.old",)))
    make_table("flights.old", {"x": [1]})
    lake.life.to_qa(first)
    lake.life.save(make_spec("flights", tables=("flights.new",)))
    make_table("flights.new", {"x": [1]})
    detail = tim.tables.show("flights.old")
    assert [(one.pipeline, one.version, one.active_in) for one in detail.written_by] == [("flights", 2, (QA,))]
    assert tim.tables.show("flights.new").written_by[0].active_in == (Environment.DEVELOPMENT,)
    with pytest.raises(NotFound):
        tim.tables.show(OWN)
    assert [one.environment for one in detail.heads] == list(Environment)


def test_an_account_that_acts_for_somebody_sees_no_more_than_they_do(lake: World) -> None:
    with lake.life.store.write(SETUP, "bot") as unit:
        tim = unit.people.named("tim").id
        unit.audit("noted", "installation:1")
    lake.life.add_person("robot", Role.VIEWER, kind="service", acts_for=tim)
    robot = lake.ask("store", "robot")
    assert "trains.daily" not in [one.name for one in robot.tables.list()]
    with pytest.raises(NotFound):
        robot.tables.preview("private.salaries")
    assert robot.tables.preview(OWN).rows == ((1,),)


def test_a_table_whose_name_has_a_dot_is_no_pipelines_table(lake: World) -> None:
    make_table(("flights", "daily.x"), {"x": [1]})
    lake.life.save(make_spec("flights", tables=("flights.daily.x",)))
    tim, vic = (lake.ask("store", name) for name in ("tim", "vic"))
    assert 'flights."daily.x"' not in [one.name for one in tim.tables.list()]
    for name in ("flights.daily.x", 'flights."daily.x"'):
        with pytest.raises(NotFound):
            tim.tables.preview(name)
    with pytest.raises(NotFound):
        tim.tables.query('SELECT * FROM flights."daily.x"')
    assert vic.tables.preview('flights."daily.x"').rows == ((1,),)
    assert vic.tables.query('SELECT * FROM flights."daily.x"').rows == ((1,),)


def test_lists_come_in_pages_and_find_by_name_and_namespace(lake: World, way: str) -> None:
    vic = lake.ask(way, "vic")
    page = vic.tables.way.run(type(vic.tables).list, {"limit": 2})
    assert [one["name"] if isinstance(one, dict) else one.name for one in page.items] == [
        OWN,
        "flights__development.daily",
    ]
    assert page.next == "flights__development.daily"
    found = vic.ask(type(vic.tables).list, {"search": "RAW"})
    assert [one.name for one in found] == ["flights_raw.flights"]
    assert [one.name for one in vic.ask(type(vic.tables).list, {"namespace": "trains"})] == ["trains.daily"]


def test_the_fleet_is_what_the_caller_may_see_worst_first_in_pages(lake: World, way: str) -> None:
    tim, vic = (lake.ask(way, name) for name in ("tim", "vic"))
    table = load_catalog().load_table("flights_raw.flights")
    for _ in range(12):
        table.append(pa.table({"x": [1]}))
    assert [(one.name, one.score == 100) for one in tim.tables.fleet()] == [
        ("flights_raw.flights", False), (OWN, True), ("flights__development.daily", True)
    ]  # fmt: skip
    every = [one.name for one in vic.tables.fleet()]
    assert (every[0], sorted(every[1:])) == ("flights_raw.flights", every[1:])
    assert set(HIDDEN) < set(every)
    page = vic.tables.way.run(type(vic.tables).fleet, {"limit": 2})
    rest = vic.tables.way.run(type(vic.tables).fleet, {"limit": 100, "after": page.next})
    assert [one["name"] if isinstance(one, dict) else one.name for one in (*page.items, *rest.items)] == every
    assert [one.name for one in vic.tables.fleet(below=100)] == ["flights_raw.flights"]
    assert [one.name for one in vic.tables.fleet(environment=Environment.DEVELOPMENT)] == ["flights__development.daily"]
    assert [one.name for one in vic.tables.fleet(namespace="private")] == ["private.salaries"]
    assert [one.name for one in vic.tables.fleet(search="SALARIES")] == ["private.salaries"]
    assert tim.tables.health_history("flights_raw.flights")[0].data_file_count == 13
    with pytest.raises(Invalid, match="`next` of an earlier page"):
        vic.tables.fleet(after="nonsense")
    for number in range(3):
        table.append(pa.table({"x": [number]}))
        tim.tables.health("flights_raw.flights")
    ask = type(tim.tables).health_history
    whole = tim.tables.health_history("flights_raw.flights")
    pages = [tim.tables.way.run(ask, {"name": "flights_raw.flights", "limit": 1})]
    while pages[-1].next:
        before = {"name": "flights_raw.flights", "limit": 1, "before": pages[-1].next}
        pages.append(tim.tables.way.run(ask, before))
    assert tuple(ask.shown(one)[0] for one in pages) == whole
    assert len(whole) > 1
    with pytest.raises(Invalid, match="before is a time"):
        tim.tables.health_history("flights_raw.flights", before="yesterday")


def test_where_no_catalog_is_connected_it_is_said(world: World) -> None:
    from dataclasses import replace

    from lifecycle.errors import Refused
    from lifecycle.usecases.parts.no_tables import NoTables

    world.life.ctx = replace(world.life.ctx, tables=NoTables())
    with pytest.raises(Refused, match="no table catalog is connected"):
        world.ask("store", "vic").tables.list()


def test_one_state_is_read(lake: World, way: str) -> None:
    with pytest.raises(Invalid, match="name one state to read"):
        lake.ask(way, "vic").tables.preview(OWN, ref="main", snapshot=1)
