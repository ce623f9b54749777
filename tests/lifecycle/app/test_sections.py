"""A site is made of sections: what each brings is there, what it needs is asked for, and nothing is left unguarded."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import APIRouter, Request
from fastapi.testclient import TestClient
from starlette.responses import Response

from drls_dagster.up.web.sections import SECTIONS as WITH_DAGSTER
from lifecycle.app.kit import needs
from lifecycle.app.kit.guard import Who
from lifecycle.app.kit.parts import DagsterAt, part
from lifecycle.app.kit.render import render
from lifecycle.app.kit.section import Api, NavLink, Pages, Section
from lifecycle.app.sections import SECTIONS
from lifecycle.app.site import create_site
from lifecycle.domain.roles import Role
from lifecycle.verbs import table as rest
from tests.lifecycle.app.visit import PASSWORD
from tests.lifecycle.life import Life


@dataclass(frozen=True)
class Weather:
    """Something that a site can be connected to."""

    says: str


pages = APIRouter()
api = APIRouter(prefix="/api")


@pages.get("/weather")
def weather(request: Request, who: Who, found: Annotated[Weather, part(Weather)]) -> Response:
    return render(request, "weather/now.html", says=found.says, name=who.actor.name)


@api.get("/weather")
def weather_now(found: Annotated[Weather, part(Weather)]) -> str:
    return found.says


@pytest.fixture
def section(tmp_path: Path) -> Section:
    for name, text in {
        "templates/now.html": '{% extends "base.html" %}{% block styles %}<link rel="stylesheet" '
        "href=\"{{ asset('weather.css') }}\">{% endblock %}{% block main %}{{ name }}: {{ says }}{% endblock %}",
        "static/weather.css": "p { color: blue }",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return Section(
        "weather",
        nav=(NavLink("/weather", "Weather", role=Role.LEAD),),
        pages=Pages((pages,), {("GET", "/weather"): needs.LEAD}),
        api=Api((api,), {("GET", "/api/weather"): rest.READ}),
        needs=(Weather,),
        templates=tmp_path / "templates",
        static=tmp_path / "static",
    )


def enter(life: Life, name: str, section: Section, *connected: object) -> TestClient:
    client = TestClient(create_site(life.ctx, (*SECTIONS, section), connected=connected), follow_redirects=False)
    life.give_password(name, PASSWORD)
    assert client.post("/sign-in", data={"account": name, "password": PASSWORD}).status_code == 303
    return client


def test_a_section_brings_its_pages_routes_links_templates_and_files(life: Life, section: Section) -> None:
    client = enter(life, "lea", section, Weather("<rain>"))
    page = client.get("/weather")
    assert "lea: &lt;rain&gt;" in page.text
    assert re.search(r'<a href="/weather" aria-current="page">Weather\s*</a>', page.text)
    sheet = re.search(r"/static/\w+/weather\.css", page.text)
    assert sheet
    assert client.get(sheet[0]).text == "p { color: blue }"
    assert client.get("/api/weather").json() == "<rain>"
    assert "/api/weather" in client.get("/api/openapi.json").json()["paths"]


def test_its_links_and_pages_are_for_who_may_open_them(life: Life, section: Section) -> None:
    client = enter(life, "ada", section, Weather("rain"))
    assert "Weather" not in client.get("/").text
    assert client.get("/weather").status_code == 403


def test_it_is_not_there_while_what_it_needs_is_not_connected(life: Life, section: Section) -> None:
    client = enter(life, "lea", section)
    assert "Weather" not in client.get("/").text
    assert client.get("/weather").status_code == 404
    assert client.get("/api/weather").status_code == 404


def nothing() -> None:
    """A route."""


def of(path: str, add: Callable[..., object] = APIRouter.add_api_route) -> tuple[APIRouter]:
    router = APIRouter()
    add(router, path, nothing)
    return (router,)


READ = needs.READ
WRONG = {
    "a page without an entry": (Section("new", pages=Pages(of("/new"))), r"section new.*'/new'"),
    "a REST route without an entry": (Section("new", api=Api(of("/api/new"))), r"section new.*'/api/new'"),
    "an entry without a page": (Section("new", pages=Pages((), {("GET", "/new"): READ})), r"section new.*'/new'"),
    "a page that REST would answer": (
        Section("new", pages=Pages(of("/api/new"), {("GET", "/api/new"): READ})), "below /api.*'/api/new'",
    ),
    "a REST route that pages would answer": (
        Section("new", api=Api(of("/new"), {("GET", "/new"): rest.READ})), "not below /api.*'/new'",
    ),
    "a page that another section answers": (
        Section("new", pages=Pages(of("/pipelines/new"), {("GET", "/pipelines/new"): READ})),
        r"/pipelines/new of the section new is answered by /pipelines/\{name\} of the section pipelines",
    ),
    "the same page twice": (
        Section("new", pages=Pages(of("/audit"), {("GET", "/audit"): READ})), "/audit of the section new is answered",
    ),
    "a socket, which no table covers": (
        Section("new", pages=Pages(of("/new", APIRouter.add_api_websocket_route))), "no plain route",
    ),
    "a name that is taken": (Section("audit"), "same name.*audit"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_section_with_a_route_that_nobody_answers_for_stops_the_start(life: Life, wrong: str) -> None:
    section, message = WRONG[wrong]
    with pytest.raises(RuntimeError, match=message):
        create_site(life.ctx, (*SECTIONS, section))


def test_two_files_of_one_name_stop_the_start(life: Life, tmp_path: Path) -> None:
    (tmp_path / "app.css").write_text("")
    with pytest.raises(RuntimeError, match=r"static file app\.css"):
        create_site(life.ctx, (*SECTIONS, Section("new", static=tmp_path)))


def test_a_module_without_a_section_stops_the_start(life: Life) -> None:
    with pytest.raises(RuntimeError, match=r"lifecycle\.app\.audit\.pages is no section"):
        create_site(life.ctx, (*SECTIONS, "lifecycle.app.audit.pages"))


def test_a_link_is_marked_on_the_pages_behind_it_alone() -> None:
    link = NavLink("/tables", "Tables")
    assert link.leads_to("/tables")
    assert link.leads_to("/tables/flights")
    assert not link.leads_to("/tables-of-others")
    assert not NavLink("/", "Home").leads_to("/tables")


def test_dagster_is_linked_where_it_is_behind_the_same_address(life: Life) -> None:
    life.give_password("vic", PASSWORD)
    for connected in ((DagsterAt("/dagster"),), ()):
        client = TestClient(create_site(life.ctx, WITH_DAGSTER, connected=connected))
        home = client.post("/sign-in", data={"account": "vic", "password": PASSWORD}).text
        assert ('<a href="/dagster">Dagster</a>' in home) == bool(connected)
