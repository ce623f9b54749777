"""The app without a mouse: the skip link, the order of focus, a focus that is seen, menus, Escape; and long words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from lifecycle.domain.policy import HoldKind
from lifecycle.usecases.holding import set_hold
from tests.browser.conftest import Server
from tests.browser.test_environments_browser import fill, fits
from tests.lifecycle.life import PRODUCTION, UAT

pytestmark = [pytest.mark.browser]
PATHS = [
    "/",
    "/environments",
    "/environments/production",
    "/environments/production/stop",
    "/pipelines/flights/rollback?data=true",
    "/drifts/1",
]
_FOCUSED = """() => {
  const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
  if (one === document.body) { return null; }
  one.dataset.seen = "1";
  return {
    what: one.outerHTML.slice(0, 120), ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    there: box.width > 0 && box.height > 0 && box.top < innerHeight && box.bottom > 0,
  };
}"""
_MISSED = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
  .filter((one) => !one.disabled && one.type !== "hidden" && one.checkVisibility() && !one.dataset.seen)
  .map((one) => one.outerHTML.slice(0, 120))"""


def test_every_control_is_reached_by_tab_and_is_seen_when_it_is(server: Server, browse: Callable[..., Page]) -> None:
    fill(server.life)
    page = browse("lea")
    for path in PATHS:
        page.goto(path)
        for _ in range(200):
            page.keyboard.press("Tab")
            focused = page.evaluate(_FOCUSED)
            if focused is None:
                break
            assert focused["ring"], f"{path}: no focus ring on {focused['what']}"
            assert focused["there"], f"{path}: out of sight: {focused['what']}"
        else:
            pytest.fail(f"{path}: the focus never leaves the page")
        assert page.evaluate(_MISSED) == [], path


def test_the_skip_link_leads_past_the_menu(server: Server, browse: Callable[..., Page]) -> None:
    page = browse("lea")
    page.goto("/environments")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "/environments/development"


def test_the_menu_opens_and_closes_by_keyboard(server: Server, browse: Callable[..., Page]) -> None:
    page = browse("lea")
    page.goto("/environments")
    menu = page.locator("details.menu > summary")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Profile and tokens")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Profile and tokens")).to_be_hidden()
    expect(menu).to_be_focused()


def test_a_menu_that_is_left_by_tab_closes(server: Server, browse: Callable[..., Page]) -> None:
    server.life.save()
    page = browse("lea")
    page.goto("/pipelines/flights")
    page.get_by_text("More", exact=True).focus()
    page.keyboard.press("Enter")
    menu = page.get_by_role("main").locator("details.menu")
    expect(menu).to_have_attribute("open", "")
    page.get_by_role("link", name="Create a new version").focus()
    expect(menu).not_to_have_attribute("open", "")


def test_a_refusal_takes_the_focus(server: Server, browse: Callable[..., Page]) -> None:
    life = server.life
    life.to_production(life.save())
    page = browse("lea")
    page.goto("/pipelines/flights/versions/1/retire")
    page.get_by_label("Reason").fill("unused")
    set_hold(life.ctx, life.as_("leo"), HoldKind.FREEZE, PRODUCTION, None, reason="quarter end")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()


def test_a_very_long_word_breaks_and_nothing_scrolls_sideways_on_a_phone(
    server: Server, browse: Callable[..., Page]
) -> None:
    life = server.life
    fill(life)
    for environment in (UAT, PRODUCTION):
        set_hold(life.ctx, life.as_("lea"), HoldKind.FREEZE, environment, None, reason="x" * 400)
    page = browse("lea", phone=True)
    paths = ["/pipelines/flights/versions/2/demote", "/holds/3/lift", "/environments/production/freeze", "/environments/uat/freeze"]  # fmt: skip
    for path in [*PATHS, *paths]:
        page.goto(path)
        fits(page)
    expect(page.get_by_role("navigation", name="Main").get_by_role("link", name="Settings")).to_be_in_viewport()
