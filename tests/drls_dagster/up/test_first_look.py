"""`drls up --seed-demo` as people meet it: real processes, a real engine, real tables, real Chromium.

With PICTURES set to a folder it keeps the pictures of the documentation there: `make pictures`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FloatRect, Page, ViewportSize, expect

from drls_dagster.demo import SEEDED
from tests.browser.conftest import WIDE, accessible, picture
from tests.drls_dagster.up.conftest import Up, start_up, until_stopped

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1_200)]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    up = start_up(tmp_path_factory.mktemp("first") / "home", "--seed-demo", seconds=900)
    yield from until_stopped(up)
    # The engine of a home outlives its `drls up`, until it has been idle for long.
    up.drls("engine", "stop")


@pytest.fixture(scope="module")
def page(seeded: Up, chromium: Browser) -> Iterator[Page]:
    """A browser in which the link has signed in."""
    context = chromium.new_context(viewport=WIDE, base_url=seeded.url)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"/sign-in#{seeded.link}")
    expect(page.locator("#badge")).to_have_text("2")
    yield page
    context.close()


def active(up: Up) -> dict[str, int]:
    found = json.loads(up.drls("env", "--pipeline", SEEDED, "--json").stdout)
    return {one["environment"]: one["version"] for one in found["active"]}


def test_the_first_look_and_the_first_approval(seeded: Up, page: Page) -> None:
    assert active(seeded) == {"development": 4, "qa": 4, "uat": 3, "production": 1}
    page.goto("/")
    expect(page.get_by_role("main")).to_contain_text(SEEDED)
    accessible(page)
    picture(page, "home")

    page.goto(f"/pipelines/{SEEDED}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(SEEDED)
    accessible(page)
    picture(page, "pipeline", whole=False)

    page.goto("/")
    page.locator("#waiting").get_by_role("link", name=f"{SEEDED} v3").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"{SEEDED} version 3")
    review = page.url
    expect(page.locator("#status")).to_contain_text("The plan is current")
    page.locator("details.data", has_text=f"{SEEDED}.daily_delays").locator("summary").first.click()
    expect(page.locator("details.data[open]")).to_contain_text("column mean_wind", timeout=60_000)
    accessible(page)
    page.goto(f"{review}/data/{SEEDED}.daily_delays")
    expect(page.get_by_role("main")).to_contain_text("column mean_wind", timeout=60_000)
    accessible(page)
    picture(page, "data-diff")

    page.goto(review)
    page.get_by_role("button", name="Approve this plan").click()
    expect(page.locator("#status")).to_contain_text("done", timeout=60_000)
    assert active(seeded)["production"] == 3


def test_a_rollback_and_a_stale_plan_are_shown_before_anybody_decides(seeded: Up, page: Page) -> None:
    page.goto(f"/pipelines/{SEEDED}/rollback?data=true")
    expect(page.get_by_role("main")).to_contain_text(f"{SEEDED}.daily_delays")
    accessible(page)
    picture(page, "rollback")

    assert seeded.drls("policy", "set", "uat", SEEDED, "--expires", "3d").returncode == 0
    page.goto("/")
    page.locator("#waiting").get_by_role("link", name=f"{SEEDED} v4").click()
    expect(page.get_by_role("button", name="Approve this plan")).to_be_disabled()
    accessible(page)
    picture(page, "stale-plan", whole=False)


def test_dagster_shows_the_graph_of_a_pipeline(seeded: Up, page: Page) -> None:
    page.goto("/dagster/locations")
    expect(page.get_by_text("production").first).to_be_visible()
    page.set_viewport_size(ViewportSize(width=1950, height=900))
    page.goto(f"/dagster/locations/qa/asset-groups/{SEEDED}")
    for passed in ("2 / 2 Passed", "7 Passed"):
        expect(page.get_by_text(passed)).to_be_visible()
    # Without Dagster's own menus.
    picture(page, "asset-graph", clip=FloatRect(x=245, y=165, width=1640, height=700))


def test_a_second_seed_changes_nothing(seeded: Up) -> None:
    told = seeded.drls("up", "--seed-demo")
    assert told.returncode == 1
    assert "is already running" in told.stderr
