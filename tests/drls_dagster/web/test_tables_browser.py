"""Tables in Chromium: every view in light, dark and on a phone, by keyboard, with hostile names; axe finds nothing."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect

from drls_dagster.settings import load_settings
from drls_dagster.web.sections import SECTIONS
from drls_dagster.web.tables import links
from lifecycle.app.site import create_site
from tests.browser.conftest import PASSWORD, PHONE, WIDE, Server, accessible, fits, in_every_look, picture, sign_in
from tests.drls_dagster.lakehouse.reader.values import HARD
from tests.fakes.instant_maintenance import InstantMaintenance
from tests.iceberg_tables import make_table
from tests.lifecycle.life import Life, make_spec
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser]
Browse = Callable[..., Page]
HOSTILE = ('<img src=x onerror="alert(1)">', "a\u202edaily</title><script>alert(1)</script>" + "x" * 60)


class TablesServer(Server):
    """The app with tables."""

    def start(self) -> None:
        config = uvicorn.Config(
            create_site(self.life.ctx, SECTIONS), host="127.0.0.1", port=self.port, log_level="warning", lifespan="off",
            ws="none", timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, 20)


@pytest.fixture
def lake(life: Life) -> Life:
    """Tables of pipelines with partitions, snapshots and refs, and some that are hard to show."""
    life.ctx = replace(life.ctx, maintenance=InstantMaintenance(load_settings()))
    # The tables are of today.
    life.clock.advance(seconds=(datetime.now(UTC) - life.clock.now()).total_seconds() + 60)
    life.save()
    life.save(make_spec("trains", tables=("trains.daily",)))
    days = [date(2026, 1, 1) + timedelta(days=at) for at in range(90)]
    rows = pa.table(
        {"day": days, "carrier": ["UA", "B6", None] * 30, "flights": range(90), "delay": [0.5, -0.0, None] * 30}
    )
    table = make_table("flights.daily", rows)
    with table.update_spec() as change:
        change.add_identity("carrier")
    for at in range(4):
        table.append(rows.slice(at * 20, 20))
    first = table.metadata.snapshots[0].snapshot_id
    table.manage_snapshots().create_tag(first, "drls-release-7").create_branch(first, "qa").commit()
    make_table("flights__development.daily", rows)
    make_table("flights_raw.flights", rows)
    make_table("trains.daily", {"x": [1]})
    make_table("lab.hard", HARD)
    make_table(HOSTILE, {"<b>column</b>": [1]})
    return life


@pytest.fixture
def server(lake: Life) -> Iterator[TablesServer]:
    made = TablesServer(lake)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def browse(server: TablesServer, chromium: Browser) -> Iterator[Browse]:
    """Opens a browser for a person; nothing may be asked of another host, and the console stays free of errors."""
    opened: list[tuple[Page, list[str]]] = []

    def open_for(name: str, *, phone: bool = False) -> Page:
        server.life.give_password(name, PASSWORD)
        context = chromium.new_context(viewport=PHONE if phone else WIDE, base_url=server.url)
        page = context.new_page()
        page.set_default_timeout(120_000)
        told: list[str] = []
        page.on("console", lambda said: told.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: told.append(f"Error: {error}"))
        page.on("dialog", lambda dialog: told.append(f"Error: a dialog {dialog.message}"))
        page.on("request", lambda one: told.append(f"Error: {one.url}") if not one.url.startswith(server.url) else None)
        opened.append((page, told))
        page.goto("/sign-in")
        sign_in(page, name)
        page.get_by_role("navigation", name="Main").wait_for()
        return page

    yield open_for
    for page, told in opened:
        page.context.close()
        assert not [line for line in told if "Content Security Policy" in line or "Error:" in line], told


def test_from_the_explorer_to_every_view_of_a_table(browse: Browse) -> None:
    page = browse("lea")
    page.get_by_role("link", name="Tables", exact=True).click()
    row = page.get_by_role("row").filter(has_text="flights__development")
    expect(row).to_contain_text("healthy")
    in_every_look(page, "tables-explorer")
    page.keyboard.press("/")
    page.keyboard.type("FLIGHTS.da")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("link", name="daily", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("daily")
    in_every_look(page, "tables-overview")
    for view in ("Columns", "Preview", "Snapshots", "Files", "Lineage"):
        page.get_by_label("Views of the table").get_by_role("link", name=view).click()
        expect(page.get_by_label("Views of the table").get_by_role("link", name=view)).to_have_attribute(
            "aria-current", "page"
        )
        in_every_look(page, f"tables-{view.lower()}")
    page.get_by_label("Environment").get_by_role("link", name="QA").click()
    expect(page).to_have_url(re.compile("environment=qa"))


def test_statistics_arrive_in_the_page(browse: Browse) -> None:
    page = browse("vic")
    page.goto("/tables/lab.hard/preview")
    page.get_by_role("link", name="Compute statistics").click()
    expect(page.get_by_label("Statistics", exact=True)).to_contain_text("Distinct, about", timeout=90_000)
    expect(page).to_have_url(re.compile("/preview$"))
    in_every_look(page, "tables-values")


def test_a_hostile_name_stays_text_on_a_phone(browse: Browse) -> None:
    page = browse("vic", phone=True)
    page.goto("/tables?q=onerror")
    accessible(page)
    fits(page)
    page.locator("td.what a").click()
    for view in ("Columns", "Preview", "Snapshots", "Files"):
        page.get_by_label("Views of the table").get_by_role("link", name=view).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("U+202E")
        accessible(page)
        fits(page)


def test_a_broken_link_to_a_table_says_that_there_is_none(browse: Browse) -> None:
    page = browse("vic")
    page.goto(links.table("flights.nothing"))
    expect(page.get_by_role("main")).to_contain_text("there is no table flights.nothing that you may see")
    accessible(page)


def test_a_table_says_what_is_maintained_automatically_in_every_look(browse: Browse) -> None:
    compact = {"drls.maintenance.compact": "auto", "drls.maintenance.below": "85"}
    make_table("lab.auto", *[{"x": [number]} for number in range(6)], properties=compact)
    make_table("lab.odd", {"x": [1]}, properties={"drls.maintenance.compact": f"<script>alert(1)</script>{'x' * 90}"})
    page = browse("vic")
    page.goto(links.table("lab.auto", "health"))
    panel = page.get_by_role("region", name="Automatic maintenance")
    expect(panel).to_contain_text("Below a score of 85, the maintenance job runs what is marked auto.")
    expect(panel.get_by_role("row").filter(has_text="Compact")).to_contain_text("property drls.maintenance.compact")
    expect(panel).to_contain_text("Waiting: production has no maintenance window")
    in_every_look(page, "tables-policy")
    page.goto(links.table("lab.odd", "health"))
    expect(panel).to_contain_text("Not valid, so nothing is done automatically")
    expect(panel).to_contain_text("<script>")
    expect(panel).to_contain_text("It changes nothing.")
    in_every_look(page, "tables-policy-wrong")


@pytest.mark.slow
def test_the_pictures_of_the_documentation(server: TablesServer, browse: Browse) -> None:
    page = browse("lea")
    for view in ("", "files"):
        page.goto(links.table("flights.daily", view))
        accessible(page)
        picture(page, f"tables-{view or 'table'}", whole=False)
