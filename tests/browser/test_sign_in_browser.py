"""Signing in with a real browser, in light, dark and on a phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Server, accessible, picture

pytestmark = [pytest.mark.browser]


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_the_sign_in_page_and_the_frame(
    server: Server, chromium: Browser, browse: Callable[..., Page], look: str
) -> None:
    page = browse("lea", dark=look == "dark", phone=look == "phone")
    accessible(page)
    picture(page, f"frame-{look}")
    page.get_by_text("lea", exact=True).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in to DRLS")).to_be_visible()
    accessible(page)
    picture(page, f"sign-in-{look}")
    page.get_by_label("Account").fill("lea")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong account name or password")


def test_an_address_whose_end_is_no_link_leaves_the_form_as_it_is(server: Server, chromium: Browser) -> None:
    page = chromium.new_context(base_url=server.url).new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.goto("/sign-in#%", wait_until="networkidle")
    expect(page.get_by_role("heading", name="Sign in to DRLS")).to_be_visible()
    assert not broken
    page.context.close()
