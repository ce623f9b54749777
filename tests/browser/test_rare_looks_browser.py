"""Pages that people see seldom, and then in a hurry: nothing to do, nothing there, something broken, somebody faster."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Server, in_every_look
from tests.lifecycle.app.audit.test_audit_page import tamper
from tests.lifecycle.life import PRODUCTION, UAT, Life, make_spec

pytestmark = [pytest.mark.browser]


def test_home_when_nothing_waits_says_so_and_where_to_begin(server: Server, browse: Callable[..., Page]) -> None:
    page = browse("lea")
    expect(page.get_by_text("Nothing is waiting for you")).to_be_visible()
    in_every_look(page, "home-empty")


def test_an_address_that_leads_nowhere_says_so(server: Server, browse: Callable[..., Page]) -> None:
    page = browse("lea")
    page.goto("/pipelines/flihgts")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    in_every_look(page, "error-404")


def test_a_bug_is_called_one_and_gives_nothing_away(
    server: Server, life: Life, browse: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    life.save()
    page = browse("lea")

    def fail(*_: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(life.plane, "table", fail)
    page.goto("/pipelines/flights/versions/1/promote/uat")
    expect(page.get_by_role("heading", level=1)).to_have_text("Something went wrong")
    expect(page.get_by_role("main")).not_to_contain_text("hunter2")
    in_every_look(page, "error-500")


def test_a_broken_chain_is_seen_at_once(server: Server, life: Life, browse: Callable[..., Page]) -> None:
    life.to_uat(life.save())
    tamper(life, "UPDATE audit SET subject = 'person:eve' WHERE sequence = 3")
    page = browse("adam")
    page.goto("/audit")
    expect(page.locator("#chain")).to_contain_text("entry 3 was edited")
    in_every_look(page, "audit-broken")
    page.set_viewport_size(PHONE)
    chain, log = page.locator("#chain").bounding_box(), page.get_by_label("Entries").bounding_box()
    assert chain is not None
    assert log is not None
    assert chain["y"] < log["y"], "on a phone too it is not below the log"


def test_an_approval_of_a_plan_that_went_stale_meanwhile_releases_nothing_and_says_what_moved(
    server: Server, life: Life, browse: Callable[..., Page]
) -> None:
    life.to_production(life.save())
    second = life.save(make_spec(rows=2))
    life.to_uat(second)
    life.run(second, UAT)
    asked = life.ask(second, PRODUCTION)
    page = browse("lea")
    page.goto(f"/approvals/{asked.id}")
    expect(page.get_by_text("The plan is current: nothing has changed since it was made.")).to_be_visible()
    page.get_by_label("Note").fill("looks right")
    # A foreign write, which tells nobody: the page does not know when it is clicked.
    life.plane.commit("flights.daily")
    page.get_by_role("button", name="Approve this plan").click()
    expect(page.locator("#status")).to_contain_text("so nothing was released")
    expect(page.locator("#status")).to_contain_text("tables[flights.daily].base")
    expect(page.get_by_role("button", name="Refresh the request")).to_be_visible()
    in_every_look(page, "review-approved-stale")
    assert life.active_number(PRODUCTION) == 1


def test_in_forced_colours_only_the_present_page_is_marked_in_the_menu(
    server: Server, browse: Callable[..., Page]
) -> None:
    page = browse("lea")
    page.emulate_media(forced_colors="active")
    page.goto("/pipelines")
    canvas = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    lines = page.locator(".nav a").evaluate_all("all => all.map(one => getComputedStyle(one).borderBottomColor)")
    marked = page.locator(".nav a").evaluate_all("all => all.map(one => one.hasAttribute('aria-current'))")
    assert [line != canvas for line in lines] == marked


def test_paper_is_light_whatever_the_screen_is(server: Server, browse: Callable[..., Page]) -> None:
    page = browse("lea", dark=True)
    page.goto("/")
    page.get_by_role("button", name="Switch between light and dark").click()
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    shade = "getComputedStyle(document.documentElement).getPropertyValue('--text').trim()"
    assert page.evaluate(shade) == "#e8ebf0"
    page.emulate_media(media="print")
    assert page.evaluate(shade) == "#171a1f"


def test_a_name_of_63_characters_stays_in_its_box(server: Server, life: Life, browse: Callable[..., Page]) -> None:
    spec = make_spec().model_dump(mode="json", by_alias=True, exclude_none=True)
    name = "m" * 63
    spec["nodes"][1]["id"] = name
    spec["edges"] = [{key: name if at == "delays" else at for key, at in edge.items()} for edge in spec["edges"]]
    life.save(type(make_spec()).model_validate(spec))
    page = browse("lea")
    page.goto("/pipelines/flights")
    over = page.locator(".graph-drawing .node").evaluate_all(
        "all => all.map(one => one.querySelector('.name').getBoundingClientRect().right"
        " - one.querySelector('rect').getBoundingClientRect().right)"
    )
    assert max(over) < 0, over
