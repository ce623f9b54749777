"""Home, the board, pipelines and their pages in Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from lifecycle.domain.policy import HoldKind
from lifecycle.spec import PipelineSpec, parse_pipeline
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.holding import set_hold
from lifecycle.usecases.reconcile import reconcile
from tests.browser.conftest import Server, accessible, fits, picture
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, UAT, Life, make_spec

pytestmark = [pytest.mark.browser]
LOOKS = ["light", "dark", "phone"]

FLIGHTS = """
format_version: 1
name: flights
description: Delays per day and carrier, scored for being late
owners: [team:operations, ada@example.org]
tags: {domain: flights, tier: gold}
schedule: {cron: "0 6 * * *", timezone: America/New_York}
parameters:
  min_flights: {type: integer, default: 10, description: Days with fewer flights are left out, runtime: true}
nodes:
  - id: raw
    type: source
    source: {kind: iceberg, table: flights_raw.flights}
  - id: carriers
    type: source
    source: {kind: files, format: csv, path: "carriers/*.csv", options: {header: true}}
  - id: weather
    type: source
    source: {kind: iceberg, table: weather.daily}
  - id: delays
    type: transform
    step: spark
    sql: |
      -- One row per day and carrier.
      SELECT make_date(year, month, day) AS day, carrier, count(*) AS flights,
             avg(dep_delay) AS mean_delay
      FROM raw
      WHERE dep_delay IS NOT NULL
      GROUP BY 1, 2
      HAVING count(*) >= :min_flights
  - id: named
    type: transform
    step: spark
    sql: |
      SELECT delays.*, carriers.name FROM delays JOIN carriers ON delays.carrier = carriers.carrier
  - id: with_weather
    type: transform
    step: spark
    sql: |
      SELECT named.*, weather.wind FROM named JOIN weather ON named.day = weather.day
  - id: scored
    type: transform
    step: rayProcess
    python: |
      import pyarrow.compute as pc

      def process(batch):
          return batch.append_column("late", pc.greater(batch["mean_delay"], 15.0))
    output_schema: {day: date, carrier: string, flights: long, mean_delay: double, late: boolean}
  - {id: daily, type: sink, table: flights.daily, mode: overwrite, sort_by: [day]}
  - {id: late, type: sink, table: flights.late, mode: merge, keys: [day, carrier]}
  - id: quality
    type: monitor
    checks:
      - {kind: row_count, min: 1}
      - {kind: not_null, columns: [day, flights]}
      - {kind: range, column: mean_delay, min: -60, max: 1500, severity: warn}
edges:
  - {from: raw, to: delays}
  - {from: delays, to: named}
  - {from: carriers, to: named}
  - {from: named, to: with_weather}
  - {from: weather, to: with_weather}
  - {from: named, to: scored}
  - {from: with_weather, to: daily}
  - {from: scored, to: late}
  - {from: daily, to: quality}
"""


CHANGES = {
    "avg(dep_delay)": "percentile(dep_delay, 0.5)",
    "min: 1}": "min: 100}",
    "table: flights.late, mode: merge, keys: [day, carrier]": "table: flights.late_days, mode: append, repeat: true",
}


def flights(changes: dict[str, str]) -> PipelineSpec:
    text = FLIGHTS
    for before, after in changes.items():
        text = text.replace(before, after)
    return parse_pipeline(text)


@pytest.fixture
def busy(life: Life) -> Life:
    """A world in several states: released, pending, running, unreviewed, drifted, frozen."""
    first = life.save(make_spec("sales", owners=["team:shop"], tags={"domain": "shop"}, description="Orders per day"))
    life.to_qa(first, "sales")
    life.run(first, QA, "sales")
    life.approve(life.ask(first, UAT, name="sales"))
    life.run(first, UAT, "sales")
    life.approve(life.ask(first, PRODUCTION, name="sales"))
    life.clock.advance(hours=20)
    life.run(first, PRODUCTION, "sales")
    life.plane.commit("sales.daily")
    reconcile(life.ctx, DAGSTER)
    second = life.save(make_spec("sales", rows=2, description="Orders per day"), message="Two rows more")
    life.to_qa(second, "sales")
    one = life.save(flights({}), message="First cut, agreed with operations")
    life.clock.advance(hours=26)
    why = "The median is what operations looks at; late days go to a table of their own"
    two = life.save(flights(CHANGES), by="eve", message=why)
    life.to_qa(two)
    break_glass(life.ctx, life.as_("leo"), "flights", one.number, UAT, reason="Operations needs it today")
    life.save(make_spec("prices"))
    life.clock.advance(minutes=12)
    run = life.save(make_spec("stock", tags={"domain": "shop"}))
    life.to_qa(run, "stock")
    life.plane.commit("stock_raw.flights")
    life.run(run, QA, "stock")
    life.ask(run, UAT, name="stock")
    life.begin(run, QA, "stock")
    set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, PRODUCTION, None, reason="Quarter end until Monday")
    set_hold(life.ctx, life.as_("lea"), HoldKind.STOP, QA, "flights", reason="Input is wrong")
    life.clock.advance(hours=3)
    return life


@pytest.mark.parametrize("look", LOOKS)
def test_the_pages_look_right_and_are_accessible(
    server: Server, busy: Life, browse: Callable[..., Page], look: str
) -> None:
    page = browse("lea", dark=look == "dark", phone=look == "phone")
    for path, name in (
        ("/", "home"), ("/pipelines", "pipelines"), ("/pipelines/flights", "pipeline"),
        ("/pipelines/flights/compare/1/2", "compare"), ("/pipelines/flights/versions/1/clone", "clone"),
        ("/pipelines/sales/delete", "delete"),
    ):  # fmt: skip
        page.goto(path)
        accessible(page)
        fits(page)
        picture(page, f"{name}-{look}")


def test_home_changes_by_itself_and_leads_to_the_next_request(
    server: Server, life: Life, browse: Callable[..., Page]
) -> None:
    page = browse("lea")
    expect(page.get_by_text("Nothing is waiting for you")).to_be_visible()
    version = life.save()
    expect(page.get_by_role("rowheader", name="flights")).to_be_visible()
    life.to_qa(version)
    life.run(version, QA)
    asked = life.ask(version, UAT)
    expect(page.get_by_role("link", name="Review the oldest")).to_have_attribute("href", f"/approvals/{asked.id}")
    expect(page).to_have_title("(1) Home · DRLS")
    expect(page.get_by_role("link", name="v1 pending")).to_be_visible()
    # What is typed into the search stays, whatever changes around it.
    page.get_by_label("Search the board").fill("fli")
    life.approve(asked, by="leo")
    expect(page.get_by_text("Nothing is waiting for you")).to_be_visible()
    expect(page.get_by_label("Search the board")).to_have_value("fli")


def test_a_dropped_file_is_imported_and_a_wrong_one_is_refused_in_place(
    server: Server, life: Life, browse: Callable[..., Page]
) -> None:
    page = browse("ada")
    page.goto("/pipelines")
    page.get_by_label("What changed, and why?").fill("First cut")
    drop(page, "notes.yaml", "- 1")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("notes.yaml: the file is not a mapping")
    expect(page.get_by_label("What changed, and why?")).to_have_value("First cut")
    drop(page, "flights.yaml", FLIGHTS)
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page).to_have_url(re.compile("/pipelines/flights/versions/1$"))
    expect(page.get_by_text("Saved as flights v1, active in development")).to_be_visible()
    # The graph is a way to each node, for the keyboard too.
    node = page.get_by_role("link", name="scored, Ray Python")
    node.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#node-scored$"))


def drop(page: Page, name: str, text: str) -> None:
    """Drops a file on the import section."""
    files = page.evaluate_handle(
        "([name, text]) => { const all = new DataTransfer(); all.items.add(new File([text], name)); return all; }",
        [name, text],
    )
    page.dispatch_event("#import", "dragover", {"dataTransfer": files})
    page.dispatch_event("#import", "drop", {"dataTransfer": files})
