"""Signing in at an OpenID Connect provider that runs here over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr, ValidationError

from lifecycle.app.account.openid import CALLBACK, OpenIdProvider, OpenIdSettings
from lifecycle.app.account.openid_api import ATTEMPT
from lifecycle.app.kit.request import COOKIE, csrf_of
from lifecycle.domain.roles import Role
from lifecycle.errors import Unauthorized
from lifecycle.usecases.accounts import disable_person
from lifecycle.usecases.openid_accounts import AccountRule, link_person
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.fakes.openid_provider import CLIENT_ID, CLIENT_SECRET, FakeProvider, running_provider
from tests.lifecycle.app.sites import site_of
from tests.lifecycle.life import SETUP, Life

PUBLIC_URL = "http://localhost:3000"


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def provider(life: Life) -> Iterator[FakeProvider]:
    with life.store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    with running_provider(PUBLIC_URL + CALLBACK, life.clock.now) as running:
        yield running


def settings(provider: FakeProvider, **changes: Any) -> OpenIdSettings:
    given = {
        "issuer": provider.issuer, "client_id": CLIENT_ID, "client_secret": SecretStr(CLIENT_SECRET),
        "public_url": PUBLIC_URL, **changes,
    }  # fmt: skip
    return OpenIdSettings.model_validate(given)


class Browser:
    """Follows the sign-in by hand, so that a test can step in between."""

    def __init__(
        self, life: Life, provider: FakeProvider, rule: AccountRule = AccountRule.KNOWN, **changes: Any
    ) -> None:
        app = site_of(life.ctx, settings(provider, accounts=rule, **changes)).api
        self.client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)

    def begin(self, back: str = "/") -> str:
        """Where the provider is asked."""
        answer = self.client.get("/api/session/oidc", params={"back": back})
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    def back(self, address: str) -> str:
        """Where the provider sends the browser: path and query of ours."""
        there = httpx.get(address)
        assert there.status_code == 302, there.text
        location = there.headers["location"]
        assert location.startswith(PUBLIC_URL)
        return location.removeprefix(PUBLIC_URL)

    def sign_in(self) -> httpx.Response:
        return self.client.get(self.back(self.begin()))


def link_ada(life: Life, provider: FakeProvider) -> None:
    link_person(life.ctx, life.as_("adam"), "ada", f"{provider.issuer}|248289")


def state_of(life: Life) -> tuple[int, int, list[str]]:
    """Accounts, tokens and links: what a refused sign-in must not change."""
    with life.store.read() as view:
        people = view.people.all()
        tokens = sum(len(view.people.tokens(person.id)) for person in people)
        return len(people), tokens, [person.subject for person in people if person.subject]


def refused(life: Life, browser: Browser, answer: httpx.Response, before: Any) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert COOKIE not in browser.client.cookies
    assert state_of(life) == before


def test_a_linked_account_gets_the_same_session_as_with_a_password(life: Life, provider: FakeProvider) -> None:
    link_ada(life, provider)
    browser = Browser(life, provider)
    asked = parse_qs(urlsplit(browser.begin()).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["scope"] == ["openid email profile"]
    answer = browser.sign_in()
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    secret = browser.client.cookies[COOKIE]
    assert browser.client.get("/api/me").json()["name"] == "ada"
    made = {"name": "ci", "scopes": ["read"]}
    assert browser.client.post("/api/me/tokens", json=made).status_code == 403
    headers = {"X-CSRF-Token": csrf_of(secret)}
    assert browser.client.post("/api/me/tokens", json=made, headers=headers).status_code == 201
    with life.store.read() as view:
        assert view.log.search(verb="session.started")[0].body["how"] == "signed in with OpenID Connect"


def test_who_signed_in_is_where_they_wanted_to_be_and_nowhere_else(life: Life, provider: FakeProvider) -> None:
    link_ada(life, provider)
    browser = Browser(life, provider)
    answer = browser.client.get(browser.back(browser.begin("/approvals/7?tab=plan&x=1")))
    assert 'url=/approvals/7?tab=plan&amp;x=1"' in answer.text
    for foreign in ("https://evil.example", "//evil.example", "/\\evil.example", ""):
        assert browser.client.get("/api/session/oidc", params={"back": foreign}).status_code == 422


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nonce of another sign-in": ({"nonce": "another"}, "RS256"),
    "no nonce": ({"nonce": None}, "RS256"),
    "audience": ({"aud": "another-client"}, "RS256"),
    "audience without the party": ({"aud": [CLIENT_ID, "another"]}, "RS256"),
    "authorized party": ({"azp": "another-client"}, "RS256"),
    "issuer": ({"iss": "https://another.example"}, "RS256"),
    "no issuer": ({"iss": None}, "RS256"),
    "expired": ({"exp": 1_000_000_000}, "RS256"),
    "without an end": ({"exp": None}, "RS256"),
    "from the future": ({"nbf": 4_000_000_000}, "RS256"),
    "no subject": ({"sub": None}, "RS256"),
    "access token": ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "RS256"),
    "alg none": ({}, "none"),
    "signed with the client's secret": ({}, "HS256"),
    "signed by somebody else": ({}, "foreign"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_id_token_is_401_and_nothing_is_created(life: Life, provider: FakeProvider, what: str) -> None:
    link_ada(life, provider)
    provider.claims, provider.alg = WRONG[what]
    browser = Browser(life, provider, AccountRule.CREATE)
    before = state_of(life)
    refused(life, browser, browser.sign_in(), before)
    provider.claims, provider.alg = {}, "RS256"
    assert browser.sign_in().status_code == 200


def test_a_sign_in_that_this_browser_did_not_begin_is_401(life: Life, provider: FakeProvider) -> None:
    link_ada(life, provider)
    browser, other = Browser(life, provider), Browser(life, provider)
    before = state_of(life)
    callback = browser.back(browser.begin())
    refused(life, other, other.client.get(callback), before)
    other.begin()
    refused(life, other, other.client.get(callback), before)
    code = parse_qs(urlsplit(callback).query)["code"][0]
    for query in ({"code": code, "state": "wrong"}, {"code": code}, {}):
        refused(life, browser, browser.client.get(CALLBACK, params=query), before)
    browser.client.cookies.clear()
    browser.client.cookies.set(ATTEMPT, "a.b.c", path=CALLBACK)
    refused(life, browser, browser.client.get(callback), before)


def test_a_sign_in_counts_once_and_for_ten_minutes(life: Life, provider: FakeProvider) -> None:
    link_ada(life, provider)
    browser = Browser(life, provider)
    late = browser.back(browser.begin())
    life.clock.advance(minutes=11)
    before = state_of(life)
    refused(life, browser, browser.client.get(late), before)
    callback = browser.back(browser.begin())
    sealed = browser.client.cookies[ATTEMPT]
    assert browser.client.get(callback).status_code == 200
    assert ATTEMPT not in browser.client.cookies
    thief = Browser(life, provider)
    thief.client.cookies.set(ATTEMPT, sealed, path=CALLBACK)
    before = state_of(life)
    refused(life, thief, thief.client.get(callback), before)


def test_a_stolen_code_is_worth_nothing_without_its_verifier(life: Life, provider: FakeProvider) -> None:
    client = OpenIdProvider(settings(provider))
    address, attempt = client.begin("/")
    code = parse_qs(urlsplit(httpx.get(address).headers["location"]).query)["code"][0]
    with pytest.raises(Unauthorized, match="start again"):
        client.finish(attempt.model_copy(update={"verifier": "x" * 64}), code, life.clock.now())


def test_a_provider_that_says_no_is_401(life: Life, provider: FakeProvider) -> None:
    provider.denies = True
    browser = Browser(life, provider)
    before = state_of(life)
    answer = browser.sign_in()
    refused(life, browser, answer, before)
    assert "access_denied" in answer.json()["detail"]


def test_somebody_unknown_is_refused_with_what_an_admin_can_do(life: Life, provider: FakeProvider) -> None:
    browser = Browser(life, provider)
    before = state_of(life)
    answer = browser.sign_in()
    refused(life, browser, answer, before)
    assert f"drls user link NAME '{provider.issuer}|248289'" in answer.json()["detail"]
    with life.store.read() as view:
        assert view.log.search(verb="sign_in.refused")[0].subject == f"subject:{provider.issuer}|248289"


def test_a_disabled_account_stays_out(life: Life, provider: FakeProvider) -> None:
    link_ada(life, provider)
    disable_person(life.ctx, life.as_("adam"), "ada")
    for rule in AccountRule:
        browser = Browser(life, provider, rule)
        before = state_of(life)
        refused(life, browser, browser.sign_in(), before)


def test_a_verified_address_links_its_one_account(life: Life, provider: FakeProvider) -> None:
    browser = Browser(life, provider, AccountRule.LINK)
    before = state_of(life)
    for user in ({"email_verified": False}, {"email_verified": "true"}, {"email": None}, {"email": "x@example.org"}):
        whole = provider.user
        provider.user = {**whole, **user}
        refused(life, browser, browser.sign_in(), before)
        provider.user = whole
    assert browser.sign_in().status_code == 200
    assert browser.client.get("/api/me").json()["name"] == "ada"
    # From now on the subject counts, not the address.
    provider.user = {"sub": "248289"}
    assert browser.sign_in().status_code == 200
    provider.user = {"sub": "another", "email": "ADA@example.org", "email_verified": True}
    fresh = Browser(life, provider, AccountRule.LINK)
    before = state_of(life)
    refused(life, fresh, fresh.sign_in(), before)


def test_an_address_of_two_accounts_links_neither(life: Life, provider: FakeProvider) -> None:
    life.add_person("ada2", Role.VIEWER, email="ada@example.org")
    browser = Browser(life, provider, AccountRule.CREATE)
    before = state_of(life)
    refused(life, browser, browser.sign_in(), before)


def test_somebody_new_gets_an_account_that_may_do_nothing(life: Life, provider: FakeProvider) -> None:
    provider.user = {"sub": "7", "email": "ada@elsewhere.example", "email_verified": True, "name": "Another Ada"}
    browser = Browser(life, provider, AccountRule.CREATE)
    assert browser.sign_in().status_code == 200
    with life.store.read() as view:
        person = view.people.named("ada-2")
        assert (person.display_name, person.email_verified, view.people.grants(person.id)) == ("Another Ada", True, ())
    assert browser.client.get("/api/pipeline-defs").status_code == 403
    assert browser.sign_in().status_code == 200
    with life.store.read() as view:
        assert view.people.find("ada-3") is None
    provider.user = {"sub": "8", "email": "new@elsewhere.example", "email_verified": False}
    fresh = Browser(life, provider, AccountRule.CREATE)
    before = state_of(life)
    refused(life, fresh, fresh.sign_in(), before)


def test_a_new_signing_key_of_the_provider_is_found(life: Life, provider: FakeProvider) -> None:
    link_ada(life, provider)
    browser = Browser(life, provider)
    assert browser.sign_in().status_code == 200
    provider.rotate()
    assert browser.sign_in().status_code == 200


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://another.example"},
        {"token_endpoint": "http://example.org/token"},
        {"jwks_uri": None},
    ],
)
def test_a_provider_that_describes_itself_wrongly_is_not_used(
    life: Life, provider: FakeProvider, metadata: dict[str, Any]
) -> None:
    provider.metadata = metadata
    answer = Browser(life, provider).client.get("/api/session/oidc")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_a_provider_that_is_gone_is_503_and_one_that_is_not_set_404(life: Life, provider: FakeProvider) -> None:
    gone = Browser(life, provider, issuer="http://127.0.0.1:1")
    assert gone.client.get("/api/session/oidc").status_code == 503
    none = TestClient(site_of(life.ctx).api)
    for path in ("/api/session/oidc", CALLBACK):
        assert none.get(path).status_code == 404


def test_only_an_admin_links_and_a_subject_belongs_to_one_account(life: Life, provider: FakeProvider) -> None:
    from lifecycle.errors import Conflict, Forbidden

    subject = f"{provider.issuer}|248289"
    with pytest.raises(Forbidden):
        link_person(life.ctx, life.as_("lea"), "ada", subject)
    link_ada(life, provider)
    link_ada(life, provider)
    with pytest.raises(Conflict, match="already linked to ada"):
        link_person(life.ctx, life.as_("adam"), "eve", subject)
    with pytest.raises(Forbidden):
        link_person(life.ctx, life.as_("adam"), "bot", "https://x|1")
    with life.store.read() as view:
        assert len(view.log.search(verb="person.linked")) == 1


@pytest.mark.parametrize("wrong", [{"issuer": "http://example.org"}, {"public_url": "ftp://x"}, {"client_id": ""}])
def test_settings_that_would_leak_are_refused(wrong: dict[str, str]) -> None:
    given = {"issuer": "https://id.example.org", "client_id": "drls", "public_url": "https://drls.example.org"}
    assert OpenIdSettings.model_validate(given).redirect_uri == "https://drls.example.org" + CALLBACK
    with pytest.raises(ValidationError):
        OpenIdSettings.model_validate({**given, **wrong})
