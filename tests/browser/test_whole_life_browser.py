"""The whole life of a pipeline, from the import of a file to its retirement, by people in browsers of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Page, expect

from lifecycle.domain.environment import Environment
from tests.browser.conftest import Server, accessible
from tests.lifecycle.life import PRODUCTION, QA, UAT, Life, make_spec

pytestmark = [pytest.mark.browser]


def write_file(folder: Path, rows: int) -> Path:
    file = folder / f"flights-{rows}.yaml"
    definition = make_spec(rows=rows).model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    file.write_text(yaml.safe_dump({"format_version": 1, **definition}))
    return file


def run(life: Life, number: int, environment: Environment) -> None:
    """What Dagster would do: a run of the version that publishes both tables."""
    with life.store.read() as view:
        version = view.pipelines.numbered(view.pipelines.named("flights"), number)
    life.run(version, environment)


def promote(page: Page, number: int, target: Environment, reason: str = "") -> int:
    """Asks on the page of the promotion; the number of the request."""
    page.goto(f"/pipelines/flights/versions/{number}/promote/{target.value}")
    if reason:
        page.get_by_label("Reason").fill(reason)
    word = "Ask for approval" if target.governed else "Promote to QA now"
    page.get_by_role("button", name=word).click()
    page.wait_for_url("**/approvals/*")
    found = re.search(r"/approvals/(\d+)", page.url)
    assert found
    return int(found.group(1))


def approve(page: Page, request: int) -> None:
    """From the list of what waits for this person to a request that is done."""
    page.goto("/")
    page.get_by_role("main").locator(f'a[href="/approvals/{request}"]').first.click()
    page.get_by_role("button", name="Approve this plan").click()
    expect(page.locator("#status")).to_contain_text("done")


def test_from_a_file_to_production_and_out_again(server: Server, browse: Callable[..., Page], tmp_path: Path) -> None:
    life = server.life
    ada, lea, leo = browse("ada"), browse("lea"), browse("leo")

    ada.goto("/pipelines")
    ada.get_by_label("File").set_input_files(write_file(tmp_path, 1))
    ada.get_by_label("What is new and why").fill("first flights")
    ada.get_by_role("button", name="Import").click()
    expect(ada.get_by_role("heading", level=1)).to_contain_text("flights v1")

    promote(ada, 1, QA)
    run(life, 1, QA)
    request = promote(ada, 1, UAT, "the season begins")
    expect(ada.get_by_label("Decision")).to_contain_text("you cannot approve it")
    accessible(ada)
    approve(lea, request)
    run(life, 1, UAT)
    request = promote(ada, 1, PRODUCTION, "the season begins")
    approve(leo, request)
    assert life.active_number(PRODUCTION) == 1

    ada.goto("/pipelines/flights")
    ada.locator("#new-version").get_by_label("File").set_input_files(write_file(tmp_path, 2))
    ada.locator("#new-version").get_by_label("What is new and why").fill("two rows")
    ada.get_by_role("button", name="Save as a new version").click()
    expect(ada.get_by_role("heading", level=1)).to_contain_text("flights v2")
    promote(ada, 2, QA)
    run(life, 2, QA)
    approve(leo, promote(ada, 2, UAT, "two rows"))
    run(life, 2, UAT)
    approve(lea, promote(ada, 2, PRODUCTION, "two rows"))
    assert life.active_number(PRODUCTION) == 2

    lea.goto("/pipelines/flights/rollback")
    lea.get_by_label("Reason").first.fill("two rows are too many")
    lea.get_by_role("button", name=re.compile("^Roll back")).click()
    lea.wait_for_url("**/approvals/*")
    expect(lea.locator("#status")).to_contain_text("done")
    assert life.active_number(PRODUCTION) == 1

    leo.goto("/pipelines/flights/versions/1/retire")
    leo.get_by_label("Reason").first.fill("the airport closed")
    leo.get_by_role("button", name=re.compile("^Retire")).click()
    leo.wait_for_url("**/pipelines/flights")
    expect(leo.get_by_role("status").first).to_contain_text("was retired")
    assert life.active_number(PRODUCTION) is None

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
