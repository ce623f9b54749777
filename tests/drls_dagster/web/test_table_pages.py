"""Tables as pages, without scripts: what is shown, to whom, and that nothing in a table can pretend to be the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pyarrow as pa
import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.web.tables import links
from lifecycle.domain.people import ScopeKind
from lifecycle.domain.roles import Role
from tests.drls_dagster.lakehouse.reader.values import HARD
from tests.drls_dagster.web.conftest import Reader
from tests.iceberg_tables import make_many_snapshots, make_many_tables, make_table
from tests.lifecycle.life import QA, SETUP, Life, make_spec

Read = Callable[[str], Reader]
VIEWS = ("", "columns", "preview", "statistics", "snapshots", "files", "lineage")


def words(page: str) -> str:
    """What a page says, without its marks."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.fixture
def lake(life: Life) -> Life:
    """The pipelines flights and trains with a table each, a copy in development, and a table of no pipeline."""
    life.save()
    life.save(make_spec("trains"))
    for name in ("flights.daily", "flights__development.daily", "flights_raw.flights", "trains.daily", "lab.own"):
        make_table(name, {"x": [1, 2]})
    life.add_person("tim", None)
    with life.store.write(SETUP, "grant") as unit:
        unit.people.add_grant(
            person_id=unit.people.named("tim").id, team_id=None, role=Role.VIEWER.value,
            scope=ScopeKind.PIPELINE.value, scope_value="flights", granted_by=None, revoked_at=None,
        )  # fmt: skip
        unit.audit("grant.added", "person:tim")
    return life


def test_the_explorer_lists_finds_and_counts(lake: Life, read: Read) -> None:
    vic = read("vic")
    page = vic.page("/tables")
    for name in ("flights.daily", "lab.own", "trains.daily"):
        assert f'href="{links.table(name)}"' in page
    assert re.search(r'href="/tables\?namespace=flights".*?flights.*?1', page, re.DOTALL)
    found = vic.page("/tables?q=RAW")
    assert links.table("flights_raw.flights") in found
    assert links.table("lab.own") not in found
    assert links.table("trains.daily") not in vic.page("/tables?namespace=lab")
    assert "No table matches" in vic.page("/tables?q=nothing")


def test_an_environment_shows_what_it_reads_by_the_names_of_pipelines(lake: Life, read: Read) -> None:
    page = read("vic").page("/tables?environment=development")
    assert "flights__development.daily at main" in words(page)
    assert "/tables/flights__development.daily" not in page
    assert links.table("flights.daily").replace("&", "&amp;") + "?environment=development" in page
    assert "not in development yet" in words(page)


def test_the_same_page_of_the_list_gets_its_marks_of_health(lake: Life, read: Read) -> None:
    marks = read("vic").get("/tables/health", part=True).text
    assert marks.count("hx-swap-oob") == 5
    assert "healthy" in marks


def test_every_view_of_a_table_opens_and_says_what_it_is_about(lake: Life, read: Read) -> None:
    vic = read("vic")
    for view in VIEWS:
        for where in (None, QA):
            page = vic.page(links.table("flights.daily", view, where))
            assert "<h1" in page
            assert 'aria-current="page"' in page
    page = words(vic.page("/tables/flights.daily"))
    assert "flights v1 development" in page
    assert "LeadDataEngineer flights" in page
    assert "may not" in page
    assert "may not" not in words(read("lea").page("/tables/flights.daily"))
    lineage = vic.page("/tables/flights.daily/lineage")
    assert links.table("flights_raw.flights", "lineage") in lineage
    assert "1 step upstream" in words(lineage)


@pytest.mark.parametrize("view", VIEWS)
def test_a_table_that_somebody_may_not_see_is_like_one_that_is_not_there(lake: Life, read: Read, view: str) -> None:
    tim = read("tim")
    assert tim.get(links.table("flights.daily", view)).status_code == 200
    said = set()
    for name in ("trains.daily", "trains.nothing", "lab.own", "no name", "x" * 900):
        answer = tim.get(links.table(name, view))
        assert answer.status_code == 404
        # A long name is cut in the message.
        said.add(words(answer.text).replace(name, "T").replace(name[:200], "T"))
    assert len(said) == 1
    page = tim.page("/tables")
    assert "trains" not in page.partition("<main")[2]
    assert "lab" not in words(page.partition("<main")[2]).split()


def test_values_are_shown_so_that_no_two_look_the_same(read: Read) -> None:
    make_table("lab.hard", HARD)
    make_table("lab.words", {"text": ["null", "NaN", "", None, "  two  spaces", "… (5 characters)"]})
    page = read("vic").page("/tables/lab.hard/preview")
    for mark in ("null", "NaN", "−infinity", "empty text", "no bytes", "cut, 5,000 characters in all"):
        assert f'<span class="mark">{mark}</span>' in page
    for text in ("-0.0", "1152921504606846976", "1.10", "00ff", "9999-12-31"):
        assert f">{text}</span>" in page
    assert "&lt;script&gt;" in page
    assert "<script>" not in page.partition("<main")[2]
    assert "U+0000" in page
    plain = read("vic").page("/tables/lab.words/preview")
    assert '<span class="value text">null</span>' in plain
    assert '<span class="value text">NaN</span>' in plain
    assert '<span class="value text">  two  spaces</span>' in plain
    assert "… (5 characters)</span>" in plain
    assert plain.count('<span class="mark">') == 2


def test_statistics_are_a_part_of_the_page_and_a_page_without_scripts(read: Read) -> None:
    make_table("lab.hard", HARD.select(["id", "ratio", "price", "note"]))
    vic = read("vic")
    part = vic.get("/tables/lab.hard/statistics", part=True).text
    assert "<html" not in part
    assert "Distinct" in part
    whole = vic.page("/tables/lab.hard/statistics")
    assert "<html" in whole
    assert '<span class="mark">empty text</span>' in whole


def test_any_state_can_be_previewed_and_a_wrong_one_is_said_in_the_page(read: Read) -> None:
    table = make_table("lab.states", {"x": [1]}, {"x": [77]})
    first, second = (one.snapshot_id for one in table.metadata.snapshots)
    table.manage_snapshots().create_tag(first, "before").commit()
    vic = read("vic")
    assert ">77</span>" in vic.page("/tables/lab.states/preview")
    for asked in (f"snapshot={first}", "ref=before"):
        assert ">77</span>" not in vic.page(f"/tables/lab.states/preview?{asked}")
    for asked, status, why in (
        ("snapshot=5", 404, "has no snapshot 5"),
        ("snapshot=x", 422, "is not a snapshot"),
        ("ref=nope", 404, "has no ref"),
        ("at=yesterday", 422, "is not a time"),
        ("at=2001-01-01", 404, "had no snapshot at 2001"),
        (f"ref=before&snapshot={second}", 422, "name one state to read"),
    ):
        page = vic.page(f"/tables/lab.states/preview?{asked}", status)
        assert why in unescape(page)
        assert 'aria-label="Views of the table"' in page
        assert "drls table" not in page


def test_snapshots_are_a_timeline_in_pages_with_their_refs(read: Read) -> None:
    make_many_snapshots("lab.old", 120)
    vic = read("vic")
    page = vic.page("/tables/lab.old/snapshots")
    assert page.count('<span class="strong">append</span>') == 50
    (older,) = re.findall(r'rel="next" href="([^"]+)"', page)
    assert vic.page(unescape(older)).count('<span class="strong">append</span>') == 50
    assert "main" in words(vic.page("/tables/lab.old/snapshots?ref=main"))
    vic.page("/tables/lab.old/snapshots?ref=gone", 404)


HOSTILE = (
    ('<img src=x onerror="alert(1)">', "a</title><script>alert(1)</script>"),
    ("ns\u202e", "daily\u2066x"),
    ("my lab", "the.daily table"),
    ("a%2Fb", "c/d?e#f&g=h"),
    ("ünï", "\"quoted\" 'name' {{ 7 * 7 }}"),
)


@pytest.mark.parametrize("parts", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_only_ever_text(parts: tuple[str, str], read: Read, drls_home: Path) -> None:
    # PyIceberg takes what is behind a question mark in a location for a query.
    make_table(parts, {"<b>col</b>\u202e": [1], "a.b c": ["<i>"]}, location=f"file://{drls_home}/warehouse/hostile")
    vic = read("vic")
    listed = vic.page("/tables")
    main = listed.partition("<main")[2]
    url = unescape(re.findall(r'<a class="strong break" href="([^"]+)"', main)[0])
    for view in ("", "columns", "preview", "files"):
        path, _, query = url.partition("?")
        page = vic.page(f"{path}/{view}".rstrip("/") + (f"?{query}" if query else ""))
        for text in (listed, page):
            assert "<script>alert" not in text
            assert "<img" not in text
            assert "<b>" not in text
            assert "<i>" not in text
            assert "\u202e" not in re.sub(r'"[^"]*"', "", text.partition("<main")[2]), view


def test_a_table_that_cannot_be_read_is_listed_with_its_error(read: Read) -> None:
    broken = make_table("lab.broken", {"x": [1]})
    make_table("lab.whole", {"x": [1]})
    Path(broken.metadata_location.removeprefix("file://")).write_text("{ nothing")
    vic = read("vic")
    page = vic.page("/tables")
    assert "cannot be read" in page
    assert links.table("lab.whole") in page
    assert "cannot be read" in vic.page("/tables?environment=production")
    assert "unreadable" in vic.get("/tables/health", part=True).text
    for view in VIEWS:
        answer = vic.get(links.table("lab.broken", view))
        assert answer.status_code < 500 or answer.status_code in (502, 503), (view, answer.status_code)
        assert "Traceback" not in answer.text


def test_a_table_that_was_dropped_meanwhile_is_gone(read: Read) -> None:
    make_table("lab.gone", {"x": [1]})
    vic = read("vic")
    vic.page("/tables/lab.gone")
    load_catalog().drop_table("lab.gone")
    for view in ("", "columns", "preview", "snapshots"):
        assert "there is no table lab.gone" in vic.page(links.table("lab.gone", view), 404)


def test_an_empty_catalog_and_an_empty_table_say_what_to_do(read: Read) -> None:
    vic = read("vic")
    assert "A table appears once a run has written it" in vic.page("/tables")
    make_table("lab.empty", pa.table({"x": pa.array([], pa.int64())}))
    assert "Nothing has been written to this table yet" in vic.page("/tables/lab.empty/preview")
    assert "nothing has been written" in vic.page("/tables/lab.empty/snapshots")
    vic.page("/tables/lab.empty")


@pytest.mark.slow
def test_five_thousand_columns_are_looked_at_in_pages(read: Read) -> None:
    make_table("lab.wide", {f"c{number:04}": [number] for number in range(5_000)})
    vic = read("vic")
    first = vic.page("/tables/lab.wide/columns")
    assert len(first) < 150_000
    assert "c0199" in first
    assert "c0200" not in first
    assert "c4999" in vic.page("/tables/lab.wide/columns?q=4999")
    rows = vic.page("/tables/lab.wide/preview?after=4950")
    assert "columns 4\u202f951–5\u202f000 of 5\u202f000" in rows
    assert "c4999" in vic.get("/tables/lab.wide/statistics?after=4950", part=True).text


@pytest.mark.slow
def test_ten_thousand_tables_are_looked_at_in_pages(read: Read) -> None:
    make_many_tables("lab", 10_000)
    vic = read("vic")
    page = vic.page("/tables?page=200")
    assert page.count('<td class="what">') == 50
    assert len(page) < 100_000
    assert "t9999" in page
    assert vic.page("/tables?q=t99").count('<td class="what">') == 50
