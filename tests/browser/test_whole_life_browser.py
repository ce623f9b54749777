"""The whole life of a pipeline, from the import of a file to its retirement, by people in browsers of their own.

The tables are real: what people are shown is compared with what is in the lake, and what a decision moves with
where the refs are afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from playwright.sync_api import Page, expect

from drls_dagster.lakehouse import refs
from drls_dagster.settings import load_settings
from lifecycle.domain.environment import Environment
from tests.browser.conftest import Server, accessible
from tests.fakes.lake import LakePlane
from tests.fakes.lake_run import run_on_tables
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import PRODUCTION, QA, UAT, Life, make_spec

pytestmark = [pytest.mark.browser, pytest.mark.tables]
RAW, DAILY, LATE = "flights_raw.flights", "flights.daily", "flights.late"
FLIGHTS = [{"id": 1, "note": "AA"}, {"id": 2, "note": "b6"}, {"id": 3, "note": "DL"}, {"id": 4, "note": "UA"}]
# Into flights.daily rows are merged by id, flights.late is overwritten: only there the second version takes a row away.
FIRST = "SELECT * FROM raw"
SECOND = "SELECT id, upper(note) AS note FROM raw WHERE id > 1"


@pytest.fixture
def lake(drls_home: Path) -> LakePlane:
    return LakePlane(load_settings(drls_home))


@pytest.fixture
def plane(lake: LakePlane) -> FakePlane:
    return cast(FakePlane, lake)


def write_file(folder: Path, sql: str) -> Path:
    """The definition as people have it: SQL over one table, a sink that merges and one that overwrites, a check each."""
    definition: dict[str, Any] = make_spec().model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude_defaults=True
    )
    for node in definition["nodes"]:
        if node["id"] == "delays":
            node["sql"] = sql
        if node.get("table") == DAILY:
            node |= {"mode": "merge", "keys": ["id"]}
    file = folder / "flights.yaml"
    file.write_text(yaml.safe_dump({"format_version": 1, **definition}))
    return file


def run(life: Life, number: int, environment: Environment) -> dict[str, int]:
    """What Dagster would do: a run of the version that publishes both tables; their snapshots."""
    with life.store.read() as view:
        version = view.pipelines.numbered(view.pipelines.named("flights"), number)
    return run_on_tables(life, version, environment)


def promote(page: Page, number: int, target: Environment, reason: str = "") -> int:
    """Asks on the page of the promotion; the number of the request."""
    page.goto(f"/pipelines/flights/versions/{number}/promote/{target.value}")
    if reason:
        page.get_by_label("Reason").fill(reason)
    word = "Request approval" if target.governed else "Promote to QA now"
    page.get_by_role("button", name=word).click()
    expect(page).to_have_url(re.compile(r"/approvals/\d+"))
    found = re.search(r"/approvals/(\d+)", page.url)
    assert found
    return int(found.group(1))


def approve(page: Page, request: int) -> None:
    """From the list of what waits for this person to a request that is done."""
    page.goto("/")
    page.get_by_role("main").locator(f'a[href="/approvals/{request}"]').first.click()
    page.get_by_role("button", name="Approve this plan").click()
    expect(page.locator("#status")).to_contain_text("done")


def looked_at(page: Page, request: int, table: str, *tallies: str) -> None:
    """What the page of a request tells of a table's data, after this person has opened it."""
    page.goto(f"/approvals/{request}")
    data = page.locator("details.data", has_text=table)
    data.locator("summary").first.click()
    for tally in tallies:
        expect(data.locator(".diff-tallies")).to_contain_text(tally)


def notes(lake: LakePlane, table: str) -> list[str]:
    """What a reader of production finds."""
    return sorted(row["note"] for row in lake.rows(table))


def moved_without_data(lake: LakePlane, before: set[str], tag: str, heads: dict[str, int]) -> None:
    """Production's refs are at `heads`, tagged, and not a file was written but the tables' metadata."""
    for table, head in heads.items():
        assert lake.head(table, "main") == head
        assert lake.tags(table)[tag] == head
    assert before <= lake.files()
    assert {Path(file).suffixes[-2:] == [".metadata", ".json"] for file in lake.files() - before} == {True}


def test_from_a_file_to_production_and_out_again(
    server: Server, lake: LakePlane, browse: Callable[..., Page], tmp_path: Path
) -> None:
    life = server.life
    lake.commit(RAW, rows=FLIGHTS)
    ada, lea, leo = browse("ada"), browse("lea"), browse("leo")

    ada.goto("/pipelines")
    ada.get_by_label("File").set_input_files(write_file(tmp_path, FIRST))
    ada.get_by_label("What changed, and why?").fill("first flights")
    ada.get_by_role("button", name="Import").click()
    expect(ada.get_by_role("heading", level=1)).to_contain_text("flights v1")

    promote(ada, 1, QA)
    run(life, 1, QA)
    request = promote(ada, 1, UAT, "the season begins")
    expect(ada.get_by_label("Decision")).to_contain_text("you cannot approve it")
    accessible(ada)
    approve(lea, request)
    candidates = run(life, 1, UAT)
    assert (lake.head(DAILY, "uat"), lake.head(DAILY, "main")) == (candidates[DAILY], None)
    request = promote(ada, 1, PRODUCTION, "the season begins")
    looked_at(leo, request, DAILY, "4 added", "0 removed")
    files = lake.files()
    approve(leo, request)
    moved_without_data(lake, files, f"drls-release-{request}", candidates)
    assert life.active_number(PRODUCTION) == 1
    assert notes(lake, DAILY) == notes(lake, LATE) == ["AA", "DL", "UA", "b6"]

    # A day in production: the input has grown, and the version's own run has written.
    lake.commit(RAW, rows=[{"id": 5, "note": "WN"}])
    released = run(life, 1, PRODUCTION)
    assert notes(lake, DAILY) == ["AA", "DL", "UA", "WN", "b6"]

    ada.goto("/pipelines/flights")
    ada.locator("#new-version").get_by_label("File").set_input_files(write_file(tmp_path, SECOND))
    ada.locator("#new-version").get_by_label("What changed, and why?").fill("codes in capitals")
    ada.get_by_role("button", name="Save as a new version").click()
    expect(ada.get_by_role("heading", level=1)).to_contain_text("flights v2")
    promote(ada, 2, QA)
    run(life, 2, QA)
    approve(leo, promote(ada, 2, UAT, "codes in capitals"))
    lake.commit(RAW, rows=[{"id": 6, "note": "yv"}])
    candidates = run(life, 2, UAT)
    request = promote(ada, 2, PRODUCTION, "codes in capitals")
    # The app is started again while the request waits, and nobody has to begin anew.
    server.stop()
    server.start()
    looked_at(lea, request, LATE, "2 added", "2 removed", "3 unchanged")
    looked_at(lea, request, DAILY, "1 added", "1 changed", "0 removed", "4 unchanged")
    expect(lea.locator("details.data", has_text=DAILY)).to_contain_text(f"snapshot {released[DAILY]}")
    expect(lea.locator("details.data", has_text=DAILY)).to_contain_text(f"snapshot {candidates[DAILY]}")
    accessible(lea)
    files = lake.files()
    approve(lea, request)
    moved_without_data(lake, files, f"drls-release-{request}", candidates)
    assert life.active_number(PRODUCTION) == 2
    assert notes(lake, DAILY) == ["AA", "B6", "DL", "UA", "WN", "YV"]
    assert notes(lake, LATE) == ["B6", "DL", "UA", "WN", "YV"]
    told = refs.summary(lake.lake_table(DAILY).snapshot_by_id(candidates[DAILY]))
    assert (told["drls.environment"], told["drls.step"]) == ("uat", "sink0")

    lea.goto("/pipelines/flights/rollback")
    lea.get_by_role("link", name="Code and data").click()
    expect(lea.get_by_role("main")).to_contain_text(
        f"goes back from snapshot {candidates[DAILY]} to: {released[DAILY]}"
    )
    lea.get_by_label("I have reviewed the data to be removed").check()
    lea.get_by_label("Reason").first.fill("nobody reads capitals")
    files = lake.files()
    lea.get_by_role("button", name=re.compile("^Roll back")).click()
    expect(lea).to_have_url(re.compile(r"/approvals/\d+"))
    expect(lea.locator("#status")).to_contain_text("done")
    assert life.active_number(PRODUCTION) == 1
    moved_without_data(lake, files, f"drls-release-{lea.url.rsplit('/', 1)[1]}", released)
    assert notes(lake, DAILY) == notes(lake, LATE) == ["AA", "DL", "UA", "WN", "b6"]

    leo.goto("/pipelines/flights/versions/1/retire")
    leo.get_by_label("Reason").first.fill("the airport closed")
    leo.get_by_role("button", name=re.compile("^Retire")).click()
    expect(leo).to_have_url(re.compile("/pipelines/flights$"))
    expect(leo.get_by_role("status").first).to_contain_text("was retired")
    assert life.active_number(PRODUCTION) is None
    assert lake.head(DAILY, "main") == released[DAILY], "its tables stay as they are"

    adam = browse("adam")
    adam.goto("/audit")
    expect(adam.get_by_role("main")).to_contain_text("verified")


def test_two_people_decide_at_once_and_both_see_the_truth(server: Server, browse: Callable[..., Page]) -> None:
    life = server.life
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    request = life.ask(version, UAT)
    lea, leo = browse("lea"), browse("leo")
    for page in (lea, leo):
        page.goto(f"/approvals/{request.id}")
    leo.get_by_text("Reject…").click()
    leo.get_by_label("What would have to change").fill("not in this season")
    # Neither page knows of the other's decision when its own is sent.
    lea.get_by_role("button", name="Approve this plan").click()
    leo.get_by_role("button", name="Reject the request").click()
    expect(lea.locator("#status")).to_contain_text("done")
    expect(leo.get_by_role("alert").first).to_contain_text(f"request {request.id} is")
    expect(leo.locator("#status")).to_contain_text("done")
    assert life.active_number(UAT) == version.number
