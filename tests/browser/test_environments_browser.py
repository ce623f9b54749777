"""The environments, and the pages that show consequences before somebody acts, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from lifecycle.domain.policy import HoldKind, Policy
from lifecycle.domain.windows import Window
from lifecycle.usecases.break_glass import break_glass
from lifecycle.usecases.holding import set_hold
from lifecycle.usecases.reconcile import reconcile
from lifecycle.usecases.set_policy import set_policy
from tests.browser.conftest import Server, accessible, fits, picture
from tests.lifecycle.life import DAGSTER, PRODUCTION, QA, UAT, Life, make_spec

pytestmark = [pytest.mark.browser]
LOOKS = ["light", "dark", "phone"]


def fill(life: Life) -> None:
    """Two releases of flights, an emergency in weather, one foreign write, a freeze and a weekend."""
    life.to_production(life.save(by="eve"), by="leo")
    life.clock.advance(days=3)
    second = life.save(make_spec(rows=2), on=1)
    life.to_production(second, by="adam")
    life.run(second, PRODUCTION)
    life.begin(second, PRODUCTION)
    life.ask(life.save(make_spec(rows=3), on=2), QA)
    weather = life.save(make_spec("weather", tables=("weather.hourly",)))
    break_glass(life.ctx, life.as_("lea"), "weather", weather.number, PRODUCTION, reason="The site is down")
    life.to_qa(life.save(make_spec("tickets")), name="tickets")
    life.plane.commit("flights.late")
    reconcile(life.ctx, DAGSTER)
    set_hold(life.ctx, life.as_("leo"), HoldKind.FREEZE, UAT, None, reason="Quarter end: back on Thursday")
    set_hold(life.ctx, life.as_("lea"), HoldKind.STOP, QA, "tickets", reason="The upstream feed is broken")
    weekend = Window(
        name="weekend", start=datetime(2026, 1, 2, 18), duration=timedelta(hours=60), rule="FREQ=WEEKLY;BYDAY=FR"
    )
    set_policy(life.ctx, life.as_("adam"), PRODUCTION, None, Policy(windows=(weekend,)))


@pytest.mark.parametrize("look", LOOKS)
def test_each_page_of_the_area(server: Server, browse: Callable[..., Page], look: str) -> None:
    fill(server.life)
    page = browse("lea", dark=look == "dark", phone=look == "phone")
    for name, path in {
        "environments-all": "/environments",
        "environments-production": "/environments/production",
        "environments-then": "/environments/production?at=2026-03-03T12:00",
        "environments-demote": "/pipelines/flights/versions/2/demote",
        "environments-retire": "/pipelines/flights/versions/2/retire",
        "environments-rollback": "/pipelines/flights/rollback?data=true",
        "environments-break-glass": "/pipelines/flights/versions/3/break-glass",
        "environments-freeze": "/environments/production/freeze",
        "environments-stop": "/environments/production/stop",
        "environments-lift": "/holds/1/lift",
        "environments-session": "/environments/uat/session/flights",
        "environments-drift": "/drifts/1",
    }.items():
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        accessible(page)
        fits(page)
        picture(page, f"{name}-{look}")


def test_a_refusal_stays_at_the_form_and_what_was_typed_too(server: Server, browse: Callable[..., Page]) -> None:
    life = server.life
    life.to_production(life.save())
    page = browse("lea")
    page.goto("/pipelines/flights/versions/1/retire")
    page.get_by_label("Reason").fill("nobody reads it")
    # Somebody freezes production between the look and the click.
    set_hold(life.ctx, life.as_("leo"), HoldKind.FREEZE, PRODUCTION, None, reason="quarter end")
    page.get_by_role("button", name="Retire v1").click()
    expect(page.get_by_role("alert")).to_contain_text("production is frozen (quarter end)")
    expect(page.get_by_label("Reason")).to_have_value("nobody reads it")
    assert life.active_number(PRODUCTION) == 1


def test_what_somebody_else_does_appears_by_itself(server: Server, browse: Callable[..., Page]) -> None:
    life = server.life
    life.save()
    looking, acting = browse("vic"), browse("lea")
    looking.goto("/environments/development")
    expect(looking.get_by_role("rowheader", name="flights")).to_be_visible()
    acting.goto("/environments/development/stop?pipeline=flights")
    acting.get_by_label("Reason").fill("bad input")
    acting.get_by_role("button", name="Stop flights in development").click()
    expect(acting.get_by_text("Flights in development is stopped.")).to_be_visible()
    expect(looking.get_by_text("bad input")).to_be_visible()
