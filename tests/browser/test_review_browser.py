"""Asking and deciding with real browsers: two people, a plan that moves, and the way to the next request."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from lifecycle.domain.environment import Environment
from lifecycle.domain.promotion import Promotion
from lifecycle.domain.run import CheckResult, InputRead
from lifecycle.domain.version import Version
from lifecycle.usecases.comment_promotion import comment_promotion
from lifecycle.usecases.start_run import finish_run
from tests.browser.conftest import Server, accessible, fits, in_every_look, picture
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, UAT, Life, make_spec

pytestmark = [pytest.mark.browser]


def run(life: Life, version: Version, environment: Environment, name: str) -> None:
    """A run whose receipts tell as much as a real one's."""
    if life.plane.head(f"{name}_raw.flights", "main") is None:
        life.plane.commit(f"{name}_raw.flights")
    begun = life.begin(version, environment, name)
    for number, table in enumerate((f"{name}.daily", f"{name}.late")):
        checks = (
            CheckResult(node=f"checks{number}", check="some", passed=True, observed="336776 rows"),
            CheckResult(node=f"checks{number}", check="fresh", passed=number == 0, blocking=False, observed="26 h old"),
        )
        raw = f"{name}_raw.flights"
        inputs = (InputRead(node="raw", name=raw, ref="main", snapshot=life.plane.head(raw, "main")),)
        tools = {"spark": "4.1.4", "iceberg": "1.12.0", "drls": "0.1.0"}
        work = {
            "checks": checks,
            "inputs": inputs,
            "rows": 336_776,
            "bytes": 41_231_112,
            "seconds": 12.4,
            "tools": tools,
        }
        life.publish(life.publishing(begun, table, environment, number, **work))
    finish_run(life.ctx, DAGSTER, begun, name)


def asked(life: Life) -> Promotion:
    """Version 2 of flights on its way into production, where version 1 is."""
    first = life.save()
    life.to_production(first)
    second = life.save(make_spec(rows=2, description="Late flights per day, cancelled ones too"))
    life.to_qa(second)
    run(life, second, QA, "flights")
    life.approve(life.ask(second, UAT))
    run(life, second, UAT, "flights")
    request = life.ask(second, PRODUCTION)
    words = "Rows rise by **2 %**: cancelled flights count now.\n\n- see [the ticket](https://e.example/42)\n- `late` is unchanged"
    comment_promotion(life.ctx, life.as_("ada"), request.id, words)
    hotels = life.save(make_spec("hotels"), by="lea")
    life.to_qa(hotels, "hotels", "lea")
    life.run(hotels, QA, "hotels")
    life.ask(hotels, UAT, by="lea", name="hotels")
    return request


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_the_pages_of_a_request(server: Server, browse: Callable[..., Page], look: str) -> None:
    request = asked(server.life)
    lea = browse("lea", dark=look == "dark", phone=look == "phone")
    for path, name in (
        ("/approvals", "list"), (f"/approvals/{request.id}", "open"),
        ("/pipelines/hotels/versions/1/promote/uat", "blocked"), ("/pipelines/hotels/versions/1/promote/qa", "done-already"),
    ):  # fmt: skip
        lea.goto(path)
        expect(lea.locator("h1")).to_be_visible()
        accessible(lea)
        fits(lea)
        picture(lea, f"review-{name}-{look}")
    lea.goto(f"/approvals/{request.id}")
    expect(lea.get_by_text("The plan is current: nothing has changed since it was made.")).to_be_visible()
    server.life.plane.commit("flights.daily")
    comment_promotion(server.life.ctx, server.life.as_("ada"), request.id, "somebody wrote to production")
    expect(lea.get_by_text("The plan is stale.")).to_be_visible()
    expect(lea.get_by_role("cell", name="tables[flights.daily].base")).to_be_visible()
    expect(lea.get_by_role("button", name="Approve this plan")).to_be_disabled()
    accessible(lea)
    fits(lea)
    picture(lea, f"review-stale-{look}")


def test_two_people_ask_and_decide_and_go_on_to_the_next(server: Server, browse: Callable[..., Page]) -> None:
    life = server.life
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    ada, lea, leo = browse("ada"), browse("lea"), browse("leo")
    ada.goto("/pipelines/flights/versions/1/promote/uat")
    expect(ada.get_by_role("heading", name="Ready to request")).to_be_visible()
    in_every_look(ada, "promote-ready")
    ada.get_by_label("Reason").fill("cancelled flights count now")
    ada.get_by_role("button", name="Request approval").click()
    expect(ada.get_by_text("Approval requested: request 2.")).to_be_visible()
    expect(ada.locator("#decision")).to_contain_text("you requested this promotion")
    lea.goto("/approvals")
    lea.get_by_role("link", name="flights v1").first.click()
    leo.goto("/approvals/2")
    leo.get_by_label("Note").fill("still reading")
    lea.get_by_label("Note").fill("fine")
    lea.get_by_role("button", name="Approve this plan").click()
    expect(lea.get_by_text("You approved. Version 1 is active in UAT.")).to_be_visible()
    expect(lea.locator(".steps")).to_contain_text("version 1 is active in UAT")
    in_every_look(lea, "review-done")
    # Leo keeps what he typed, sees what is so, and is told when he clicks all the same.
    expect(leo.locator("#status")).to_contain_text("done")
    expect(leo.get_by_text("This request changed while you were writing.")).to_be_visible()
    expect(leo.get_by_label("Note")).to_have_value("still reading")
    leo.get_by_role("button", name="Approve this plan").click()
    expect(leo.get_by_role("alert")).to_contain_text("request 2 is done and can no longer be approved")
    # Ada's page follows by itself.
    expect(ada.locator("#status")).to_contain_text("done")
    expect(ada.locator("#activity")).to_contain_text("finished the promotion")


def test_two_comments_in_a_row_without_loading_the_page_by_hand(server: Server, browse: Callable[..., Page]) -> None:
    request = asked(server.life)
    lea = browse("lea")
    lea.goto(f"/approvals/{request.id}#comment")
    for words in ("the first remark", "the second remark"):
        lea.get_by_label("Comment").fill(words)
        lea.get_by_role("button", name="Comment").click()
        expect(lea.locator("#activity")).to_contain_text(words)
        expect(lea.get_by_label("Comment")).to_have_value("")
        expect(lea.get_by_role("button", name="Comment")).to_be_enabled()
    expect(lea.locator("#activity").get_by_text("the first remark")).to_have_count(1)


def test_regions_have_names_of_their_own_and_headings_an_order(server: Server, browse: Callable[..., Page]) -> None:
    asked(server.life)
    lea = browse("lea")
    for path in ("/approvals", "/environments/uat", "/environments/production"):
        lea.goto(path)
        accessible(lea, "landmark-unique", "heading-order")
