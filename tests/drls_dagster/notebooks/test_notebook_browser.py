"""A notebook in Chromium: a table is seen, and the page's own scripts reach neither the app nor another site."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import PASSWORD, sign_in
from tests.drls_dagster.notebooks.conftest import CELL, HEAD, World

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

CODE = """
import drls_dagster as drls
import marimo as mo
mo.ui.table(drls.read("flights.daily").to_pandas(), selection=None)
"""
# What a script in the page of a notebook may try; each answers with what came of it.
TRIED = """async (url) => {
  const tried = async (what) => { try { return await what() } catch (error) { return "refused" } };
  const frame = document.createElement("iframe");
  frame.src = url + "/";
  document.body.append(frame);
  await new Promise((done) => { frame.onload = done; setTimeout(done, 3000) });
  return {
    api: await tried(async () => (await fetch(url + "/api/me")).status),
    approve: await tried(async () => (await fetch(url + "/api/approvals/1/approve", {method: "POST"})).status),
    other: await tried(async () => (await fetch("http://127.0.0.1:9/")).status),
    window: await tried(async () => window.open(url + "/") === null ? "refused" : "opened"),
    frame: await tried(async () => frame.contentDocument.querySelector("main, nav") === null ? "refused" : "read"),
    own: await tried(async () => (await fetch(url + "/notebook/ada/health")).status),
    cookie: document.cookie.includes("drls_session") ? "read" : "refused",
  };
}"""


def test_a9_a_person_sees_a_table_and_scripts_of_the_page_reach_nothing_else(world: World, chromium: Browser) -> None:
    world.start()
    body = "\n".join(f"    {line}" for line in CODE.strip().splitlines())
    (world.files() / "look.py").write_text(HEAD + CELL.format(body=body))
    world.life.give_password("ada", PASSWORD)
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, base_url=world.url)
    page = context.new_page()
    page.set_default_timeout(200_000)
    outside: list[str] = []
    page.on(
        "request",
        lambda one: outside.append(one.url) if not one.url.startswith((world.url, "data:", "blob:")) else None,
    )
    try:
        page.goto("/sign-in")
        sign_in(page, "ada")
        page.get_by_role("navigation", name="Main").wait_for()
        page.goto("/notebook/ada/?file=look.py")
        page.locator(".cm-content").first.click()
        page.keyboard.press("Control+Enter")
        expect(page.get_by_text("1.5", exact=True).first).to_be_visible(timeout=200_000)
        if folder := os.environ.get("PICTURES_OF_TESTS"):
            page.screenshot(path=str(Path(folder) / "notebook.png"))
        found = page.evaluate(TRIED, world.url)
        assert found.pop("own") == 200
        assert set(found.values()) == {"refused"}, found
        assert outside == ["http://127.0.0.1:9/"] or not outside
    finally:
        context.close()
