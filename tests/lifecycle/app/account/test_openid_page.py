"""The button of the sign-in page: to the provider and back, in a browser that shows what comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from pydantic import SecretStr

from lifecycle.app.account.openid import CALLBACK, OpenIdSettings
from lifecycle.app.kit.request import COOKIE
from lifecycle.usecases.openid_accounts import link_person
from tests.fakes.openid_provider import CLIENT_ID, CLIENT_SECRET, FakeProvider, running_provider
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import Life

PUBLIC_URL = "http://localhost:3000"
NAVIGATE = {"Sec-Fetch-Mode": "navigate"}


@pytest.fixture
def provider(life: Life) -> Iterator[FakeProvider]:
    with running_provider(PUBLIC_URL + CALLBACK, life.clock.now) as running:
        yield running


@pytest.fixture
def browser(life: Life, provider: FakeProvider) -> Visit:
    return Visit(life, None, openid=settings(provider.issuer))


def settings(issuer: str) -> OpenIdSettings:
    return OpenIdSettings(
        issuer=issuer, client_id=CLIENT_ID, client_secret=SecretStr(CLIENT_SECRET), public_url=PUBLIC_URL
    )


def through(browser: Visit, page: str) -> httpx.Response:
    """Clicks the button on `page`, signs in at the provider, and comes back."""
    link = page.partition('href="/api/session/oidc')[2].partition('"')[0].replace("&amp;", "&")
    there = browser.get("/api/session/oidc" + link, headers=NAVIGATE)
    assert there.status_code == 303, there.text
    back = httpx.get(there.headers["location"]).headers["location"]
    return browser.get(back.removeprefix(PUBLIC_URL), headers=NAVIGATE)


def told(browser: Visit, answer: httpx.Response) -> str:
    """The page where a refused browser ends up."""
    assert answer.headers["content-type"].startswith("text/html")
    assert 'url=/sign-in"' in answer.text
    assert COOKIE not in browser.client.cookies
    return browser.page("/sign-in")


def test_the_button_is_there_only_where_a_provider_is(visit: Callable[[str | None], Visit], browser: Visit) -> None:
    assert "Sign in with your organisation" not in visit(None).page("/sign-in")
    assert "Sign in with your organisation" in browser.page("/sign-in")


def test_the_button_leads_to_the_page_that_was_asked_for(life: Life, browser: Visit, provider: FakeProvider) -> None:
    link_person(life.ctx, life.as_("adam"), "ada", f"{provider.issuer}|248289")
    asked = browser.get("/profile?x=1&y=2")
    answer = through(browser, browser.page(asked.headers["location"]))
    assert answer.status_code == 200
    assert 'url=/profile?x=1&amp;y=2"' in answer.text
    assert "ada@example.org" in browser.page("/profile")


def test_somebody_unknown_reads_on_the_sign_in_page_what_an_admin_can_do(
    browser: Visit, provider: FakeProvider
) -> None:
    answer = through(browser, browser.page("/sign-in"))
    assert answer.status_code == 401
    page = told(browser, answer)
    assert "drls user link NAME" in page
    assert 'role="alert"' in page
    # Said once.
    assert "drls user link NAME" not in browser.page("/sign-in")


def test_a_refusal_of_the_provider_and_a_foreign_callback_end_on_the_sign_in_page(
    browser: Visit, provider: FakeProvider
) -> None:
    provider.denies = True
    assert "access_denied" in told(browser, through(browser, browser.page("/sign-in")))
    answer = browser.get(CALLBACK, params={"code": "x", "state": "y"}, headers=NAVIGATE)
    assert "start again" in told(browser, answer)
    answer = browser.get("/api/session/oidc", params={"back": "//evil.example"}, headers=NAVIGATE)
    assert answer.status_code == 422
    assert "did not start here" in told(browser, answer)


def test_what_the_provider_says_is_only_text(browser: Visit) -> None:
    script = "<script>alert(1)</script>"
    browser.get("/api/session/oidc", headers=NAVIGATE)
    answer = browser.get(CALLBACK, params={"error": script, "state": "x"}, headers=NAVIGATE)
    assert script not in answer.text
    assert script not in browser.page("/sign-in")


def test_a_provider_that_is_gone_is_said_on_the_page_and_a_program_gets_a_problem(life: Life) -> None:
    browser = Visit(life, None, openid=settings("http://127.0.0.1:1"))
    answer = browser.get("/api/session/oidc", headers=NAVIGATE)
    assert answer.status_code == 503
    assert "does not answer" in told(browser, answer)
    assert browser.get("/api/session/oidc").headers["content-type"] == "application/problem+json"
