"""Profile, audit and settings in a real browser: light, dark and on a phone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import ScopeKind
from lifecycle.domain.policy import Policy
from lifecycle.domain.roles import Role
from lifecycle.domain.windows import Window
from lifecycle.usecases.grants import add_grant, add_team, set_member
from lifecycle.usecases.set_policy import set_policy
from lifecycle.usecases.set_receivers import Receiver, send_test, set_receivers
from tests.browser.conftest import Server, accessible, fits, in_every_look, picture
from tests.lifecycle.life import QA, UAT, Life, make_spec

pytestmark = [pytest.mark.browser]
LOOKS = ["light", "dark", "phone"]
PAGES = {
    "profile": "/profile",
    "settings": "/settings",
    "people": "/settings/people",
    "person": "/settings/people/ada",
    "team": "/settings/teams/risk",
    "disable": "/settings/people/eve/disable",
    "notifications": "/settings/notifications",
    "policies": "/settings/policies",
    "policy": "/settings/policies/production",
    "policy-edit": "/settings/policies/uat/edit",
    "policy-delete": "/settings/policies/uat/delete?pipeline=flights",
    "audit": "/audit",
}


@pytest.fixture
def lively(life: Life) -> Life:
    """Teams, a freeze at the weekend, a policy of a pipeline's own, receivers, and a request that waits."""
    adam = life.as_("adam")
    add_team(life.ctx, adam, "risk")
    for name in ("lea", "eve"):
        set_member(life.ctx, adam, "risk", name, member=True)
    add_grant(life.ctx, adam, Role.LEAD, team="risk", scope=ScopeKind.TAG, scope_value="domain=risk")
    weekend = Window(
        name="weekend", start=datetime(2026, 1, 2, 18), duration=timedelta(hours=60), rule="FREQ=WEEKLY;BYDAY=FR",
        timezone="Europe/Berlin",
    )  # fmt: skip
    set_policy(life.ctx, adam, Environment.PRODUCTION, None, Policy(windows=(weekend,), soak=timedelta(hours=36)))
    version = life.save()
    life.to_qa(version)
    life.run(version, QA)
    life.ask(version, UAT)
    life.save(make_spec("orders"))
    set_policy(life.ctx, adam, UAT, "flights", Policy(quorum="2 LeadDataEngineer"))
    set_policy(life.ctx, adam, UAT, "orders", Policy(approvals="solo"))
    set_receivers(
        life.ctx, adam, [
            Receiver(address="https://hooks.example.org/services/T0/B0/secret"),
            Receiver(address="mailto:team@example.org", events=("promotion.requested", "drift.found")),
        ], expected=0,
    )  # fmt: skip
    send_test(life.ctx, adam, 1, expected=1)
    return life


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_readable(lively: Life, browse: Callable[..., Page], look: str) -> None:
    page = browse("adam", dark=look == "dark", phone=look == "phone")
    for name, path in PAGES.items():
        page.goto(path)
        accessible(page)
        fits(page)
        picture(page, f"settings-{name}-{look}")


def test_a_token_is_issued_copied_and_revoked(lively: Life, browse: Callable[..., Page]) -> None:
    page = browse("ada")
    page.goto("/profile")
    page.get_by_label("Name").fill("nightly export")
    page.get_by_role("button", name="Issue token").click()
    told = page.get_by_text("shown only once")
    expect(told).to_be_visible()
    secret = page.locator("#secret").inner_text()
    assert secret.startswith("drls_personal_")
    assert secret not in page.url
    in_every_look(page, "settings-token")
    page.get_by_role("link", name="I have saved it").click()
    expect(page.get_by_role("cell", name="nightly export", exact=True)).to_be_visible()
    assert secret not in page.content()
    page.get_by_role("button", name="Revoke nightly export").click()
    expect(page.get_by_text("Token nightly export revoked.")).to_be_visible()


def test_a_policy_is_changed_with_its_meaning_in_sight(lively: Life, browse: Callable[..., Page]) -> None:
    page = browse("adam")
    page.goto("/settings/policies/uat/edit")
    preview = page.locator("#preview")
    page.get_by_label("Who must approve").fill("2 Lead")
    expect(page.locator("#error-quorum")).to_contain_text("is not a role")
    expect(preview).to_contain_text("are not valid yet")
    page.get_by_role("button", name="Save policy").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was saved")
    page.get_by_label("Who must approve").fill("2 LeadDataEngineer")
    expect(preview).to_contain_text("Needs 2 LeadDataEngineer or Admin")
    expect(page.locator("#error-quorum")).to_be_empty()
    expect(preview).to_contain_text("adam, lea, leo")
    page.get_by_label("Solo: people may approve their own work").check()
    expect(preview).to_contain_text("shown as unreviewed everywhere")
    in_every_look(page, "settings-policy-preview")
    page.get_by_label("Nobody approves their own work").check()
    page.get_by_role("button", name="Save policy").click()
    expect(page.get_by_text("The policy is now in effect.")).to_be_visible()
    with lively.store.read() as view:
        found = view.policies.revision(UAT, None)
    assert found is not None
    assert found.body is not None
    assert (found.body.quorum, found.body.approvals) == ("2 LeadDataEngineer", "required")


def test_a_refusal_stands_at_its_form(lively: Life, browse: Callable[..., Page]) -> None:
    page = browse("adam")
    page.goto("/settings/people/adam")
    page.get_by_role("button", name="Remove Admin on everything").click()
    expect(page.get_by_role("alert")).to_contain_text("this is the last Admin")
    page.get_by_role("button", name="Create a sign-in link").click()
    expect(page.locator("#secret")).to_contain_text("/sign-in#drls_link_")


def test_a_long_chain_is_read_while_one_looks_on(server: Server, lively: Life, browse: Callable[..., Page]) -> None:
    with lively.store.write(lively.as_("adam"), "many") as unit:
        for number in range(3_000):
            unit.audit("thing.happened", f"thing:{number}")
    page = browse("adam")
    page.goto("/audit")
    expect(page.locator("#chain")).to_contain_text("verified", timeout=30_000)
    page.get_by_role("button", name="Verify again").click()
    expect(page.get_by_text("Verifying the log from its first entry.")).to_be_visible()
    expect(page.locator("#chain")).to_contain_text("verified", timeout=30_000)
    with page.expect_download() as got:
        page.get_by_role("link", name="Download the full log").click()
    assert got.value.suggested_filename.startswith("drls-audit-log-")


def test_a_role_that_is_to_be_granted_can_be_read_whole(server: Server, browse: Callable[..., Page]) -> None:
    page = browse("adam")
    page.goto("/settings/people/lea")
    role = page.locator("select#role")
    # As wide as it would be with all the room there is.
    shown = role.evaluate("one => one.offsetWidth")
    assert shown >= role.evaluate(
        "one => { one.style.maxWidth = 'none'; one.style.width = 'auto'; return one.offsetWidth }"
    )
    fits(page)
