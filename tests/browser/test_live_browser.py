"""What a page shows is true by itself: after a change, after a cut stream, after the app was started again."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from lifecycle.domain.policy import HoldKind
from lifecycle.usecases.holding import set_hold
from tests.browser.conftest import Server, sign_in
from tests.lifecycle.life import QA, UAT, make_spec

pytestmark = [pytest.mark.browser]
_LISTEN = """() => {
  window.heard = [];
  new MutationObserver((all) => all.forEach((one) => one.addedNodes.forEach((node) => window.heard.push(node.textContent))))
    .observe(document.getElementById("heard"), { childList: true });
}"""


def ask(server: Server, name: str) -> int:
    """A request into UAT that waits for a lead."""
    life = server.life
    version = life.save(make_spec(name))
    life.to_qa(version, name)
    life.run(version, QA, name)
    return life.ask(version, UAT, name=name).id


def test_the_count_of_what_waits_appears_by_itself(server: Server, browse: Callable[..., Page]) -> None:
    page = browse("lea")
    expect(page.locator("#badge")).to_have_text("")
    ask(server, "flights")
    expect(page.locator("#badge")).to_have_text("1")
    expect(page).to_have_title("(1) Home · DRLS")
    ask(server, "trains")
    expect(page.locator("#badge")).to_have_text("2")


def test_what_has_the_focus_keeps_it_when_a_part_loads_itself_again(
    server: Server, browse: Callable[..., Page]
) -> None:
    first = ask(server, "flights")
    page = browse("lea")
    page.goto("/approvals")
    link = page.locator("#pending").get_by_role("link", name="flights v1")
    link.focus()
    ask(server, "trains")
    expect(page.locator("#pending").get_by_role("link", name="trains v1")).to_be_visible()
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/approvals/{first}$"))


def test_who_decides_stays_open_under_the_focus_when_the_request_is_looked_at_again(
    server: Server, browse: Callable[..., Page]
) -> None:
    request = ask(server, "flights")
    page = browse("lea")
    page.goto(f"/approvals/{request}")
    summary = page.locator("#quorum summary")
    summary.focus()
    page.keyboard.press("Enter")
    page.evaluate("document.getElementById('quorum').dataset.old = ''")
    page.evaluate("htmx.trigger('#status', 'refresh')")
    expect(page.locator("#quorum[data-old]")).to_have_count(0)
    expect(summary).to_be_focused()
    expect(page.locator("#quorum details")).to_have_attribute("open", "")


def test_what_changed_is_read_out_once_and_nothing_else_is(server: Server, browse: Callable[..., Page]) -> None:
    life = server.life
    request = ask(server, "flights")
    page = browse("lea")
    page.goto(f"/approvals/{request}")
    expect(page.get_by_text("The plan is current")).to_be_visible()
    page.evaluate(_LISTEN)
    set_hold(life.ctx, life.as_("leo"), HoldKind.FREEZE, UAT, None, reason="quarter end")
    expect(page.locator("#status")).to_contain_text("Once approved, it will wait")
    life.approve(life.promotion(request), "leo")
    expect(page.locator("#status")).to_contain_text("Approved, waiting")
    expect(page.locator("#badge")).to_have_text("")
    # Once more with nothing new.
    page.evaluate("document.getElementById('status').dataset.old = ''")
    page.evaluate("htmx.trigger('#status', 'refresh')")
    expect(page.locator("#status[data-old]")).to_have_count(0)
    heard = page.evaluate("window.heard")
    assert sorted(heard) == [
        "open decisions for you: 0",
        f"request {request} is approved; leo approved; it is waiting: UAT is frozen: quarter end",
        f"request {request} is requested; it is waiting: UAT is frozen: quarter end",
    ]
    assert page.locator("#status").locator("[role=status], [role=alert]").count() == 0


def test_a_page_recovers_when_the_app_was_away(server: Server, browse: Callable[..., Page]) -> None:
    page = browse("lea")
    expect(page.locator("#badge")).to_have_text("")
    server.stop()
    ask(server, "flights")
    expect(page.locator("#offline")).to_be_visible()
    server.start()
    expect(page.locator("#badge")).to_have_text("1", timeout=30_000)
    expect(page.locator("#offline")).to_be_hidden()


def test_a_stream_that_was_cut_comes_back_with_the_truth(server: Server, browse: Callable[..., Page]) -> None:
    page = browse("lea")
    page.context.set_offline(True)
    ask(server, "flights")
    page.context.set_offline(False)
    expect(page.locator("#badge")).to_have_text("1", timeout=30_000)


def end_session(server: Server, name: str) -> None:
    with server.life.store.write(server.life.as_("adam"), "end") as unit:
        person = unit.people.named(name)
        for token in unit.people.tokens(person.id):
            unit.people.end_token(token)
        unit.audit("test.ended", f"person:{name}")


@pytest.mark.parametrize(("who", "found"), [("lea", "Why **now**?"), ("leo", "")])
def test_what_somebody_wrote_when_their_session_ended_is_there_after_the_sign_in(
    server: Server, browse: Callable[..., Page], who: str, found: str
) -> None:
    request = ask(server, "flights")
    browse("leo").context.close()  # who has a password now
    page = browse("lea")
    page.goto(f"/approvals/{request}")
    page.get_by_label("Comment").fill("Why **now**?")
    end_session(server, "lea")
    page.get_by_role("button", name="Comment").click()
    expect(page).to_have_url(re.compile("/sign-in"))
    sign_in(page, who)
    expect(page).to_have_url(re.compile(f"/approvals/{request}$"))
    expect(page.get_by_label("Comment")).to_have_value(found)
    page.reload()
    expect(page.get_by_label("Comment")).to_have_value("")


def test_a_stream_that_has_gone_silent_is_opened_again(server: Server, browse: Callable[..., Page]) -> None:
    page = browse("lea")
    page.clock.install()
    with page.expect_request("**/api/events?*"):
        page.reload()
    expect(page.locator("#offline")).to_be_hidden()
    page.evaluate("document.querySelector('#waiting').dataset.old = ''")
    with page.expect_request("**/api/events?*"):
        page.clock.fast_forward(46_000)
    page.clock.run_for(1_000)
    expect(page.locator("#waiting[data-old]")).to_have_count(0)
    expect(page.locator("#offline")).to_be_hidden()


def test_a_session_that_ended_leads_to_the_sign_in_page(server: Server, browse: Callable[..., Page]) -> None:
    page, other = browse("lea"), browse("leo")
    page.goto("/")  # several live parts, each of which is told that the session has ended
    left: list[str] = []
    page.on("request", lambda one: left.append(one.url) if one.is_navigation_request() else None)
    end_session(server, "lea")
    ask(server, "flights")
    expect(page).to_have_url(re.compile("/sign-in"))
    expect(other.locator("#badge")).to_have_text("1")
    assert len(left) == 1, left
