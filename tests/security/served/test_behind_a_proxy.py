"""Findings 15 and 21: who is behind a proxy, and what strangers can make a server believe about it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from drls_dagster.errors import UsageError
from drls_dagster.settings import load_settings
from lifecycle.usecases.parts.guessing import QUICK
from tests.lifecycle.life import Life
from tests.security.served.server import PASSWORD, Web, served

PROXY = "127.0.0.1"


def enter(web: Web, password: str = PASSWORD, account: str = "ada", **headers: str) -> httpx.Response:
    """A new browser each time."""
    with web.client() as client:
        body = {"account": account, "password": password}
        return client.post(
            "/api/session", json=body, headers={name.replace("_", "-"): v for name, v in headers.items()}
        )


def test_30_wrong_passwords_of_one_client_keep_nobody_else_behind_the_proxy_out(life: Life) -> None:
    """Failed on 0.1.0: everybody behind the proxy was locked for a quarter of an hour, and `drls up` knew no other client."""
    with served(life, proxies=[PROXY]) as web:
        for number in range(35):
            enter(web, "wrong wrong wrong", f"nobody-{number}", X_Forwarded_For="203.0.113.9")
        assert enter(web, X_Forwarded_For="198.51.100.7").status_code == 200
        assert enter(web, "wrong wrong wrong", X_Forwarded_For="203.0.113.9").status_code == 401
        assert enter(web, X_Forwarded_For="203.0.113.9").status_code == 429


def test_guessing_at_an_account_keeps_its_owner_out_from_nowhere_else(life: Life) -> None:
    """Failed on 0.1.0."""
    with served(life, proxies=[PROXY]) as web:
        answers = [enter(web, "wrong wrong wrong", X_Forwarded_For="203.0.113.9") for _ in range(10)]
        assert [one.status_code for one in answers] == [401] * QUICK + [429] * (10 - QUICK)
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert enter(web, X_Forwarded_For="198.51.100.7").status_code == 200


def test_the_owners_own_browser_comes_in_whoever_guesses_at_the_same_address(web: Web) -> None:
    """Failed on 0.1.0. Nothing is trusted here, so that all have one address."""
    with web.client() as browser:
        body = {"account": "ada", "password": PASSWORD}
        assert browser.post("/api/session", json=body).status_code == 200
        for _ in range(QUICK + 3):
            enter(web, "wrong wrong wrong")
        assert enter(web).status_code == 429
        browser.cookies.delete("drls_session")
        assert browser.post("/sign-in", data=body, follow_redirects=False).status_code == 303


@pytest.mark.parametrize("proxies", [[], ["192.0.2.0/24"]])
def test_who_is_no_trusted_proxy_names_no_other_client(life: Life, proxies: list[str]) -> None:
    """A header in each guess gained a fresh count: `drls serve` believed whoever connected from its own machine."""
    with served(life, proxies=proxies) as web:
        for number in range(QUICK):
            enter(web, "wrong wrong wrong", X_Forwarded_For=f"203.0.113.{number}", Forwarded=f"for=203.0.113.{number}")
        assert enter(web, X_Forwarded_For="203.0.113.99", Forwarded="for=203.0.113.99").status_code == 429
        answer = enter(web, account="lea", X_Forwarded_Proto="https", Forwarded="proto=https")
        assert "secure" not in answer.headers["set-cookie"].lower()
    assert {one.body["host"] for one in attempts(life)} == {"127.0.0.1"}


def attempts(life: Life) -> Any:
    with life.store.read() as view:
        return view.log.search(verb="sign_in.attempt")


@pytest.mark.parametrize(
    ("sent", "client"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("198.51.100.66, 203.0.113.5", "203.0.113.5"),
        ("203.0.113.5, 10.0.0.3", "203.0.113.5"),
        ("198.51.100.66, 203.0.113.5, 10.0.0.3, 127.0.0.1", "203.0.113.5"),
        ("203.0.113.5:4711", "203.0.113.5"),
        ("[2001:db8::5]:4711", "2001:db8::5"),
        ("2001:db8::5", "2001:db8::5"),
        ("unknown", "127.0.0.1"),
        ("198.51.100.66, not an address", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("," * 3_000, "127.0.0.1"),
    ],
)
def test_the_last_address_that_no_trusted_proxy_vouches_for_is_the_client(life: Life, sent: str, client: str) -> None:
    """What a client puts into the header itself stands before that, and counts for nothing."""
    with served(life, proxies=[PROXY, "10.0.0.0/8"]) as web:
        enter(web, "wrong wrong wrong", X_Forwarded_For=sent)
    assert [one.body["host"] for one in attempts(life)] == [client]


def test_a_header_that_the_proxy_passes_on_unread_counts_for_nothing(life: Life) -> None:
    """A proxy sets one kind of header and hands the other on as the client wrote it."""
    with served(life, proxies=[PROXY]) as web:
        enter(web, "wrong wrong wrong", X_Forwarded_For="203.0.113.5", Forwarded="for=198.51.100.66")
    with served(life, proxies=[PROXY], kind="forwarded") as web:
        enter(web, "wrong wrong wrong", X_Forwarded_For="198.51.100.66", Forwarded='for="[2001:db8::5]:1";proto=https')
        cookie = enter(web, account="lea", Forwarded="for=203.0.113.6;proto=https").headers["set-cookie"]
    assert {one.body["host"] for one in attempts(life)} == {"203.0.113.5", "2001:db8::5", "203.0.113.6"}
    assert "secure" in cookie.lower()


@pytest.mark.parametrize(("proto", "secure"), [("https", True), ("http", False), ("", False), ("http, https", True)])
def test_cookies_are_secure_where_the_proxy_speaks_tls(life: Life, proto: str, secure: bool) -> None:
    """Failed on 0.1.0: behind TLS that ends at the proxy of `drls up` no cookie was."""
    with served(life, proxies=[PROXY]) as web:
        cookies = enter(web, X_Forwarded_For="203.0.113.5", X_Forwarded_Proto=proto).headers.get_list("set-cookie")
    assert {one.split("=")[0] for one in cookies} == {"drls_session", "drls_browser"}
    for one in cookies:
        assert ("; secure" in one.lower()) is secure
        assert "httponly" in one.lower()
        assert "samesite=strict" in one.lower()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3000", "127.0.0.1.evil.example", "", "localhost.evil"])
@pytest.mark.parametrize("path", ["/api/health", "/sign-in"])
def test_a_foreign_name_that_leads_here_gets_nothing(life: Life, host: str, path: str) -> None:
    """Failed on 0.1.0: `drls serve` answered to every name (DNS rebinding)."""
    with served(life, hosts=["drls.example"]) as web, web.client() as client:
        assert client.get(path, headers={"Host": host}).status_code == 421
        for own in ("drls.example", "DRLS.example:443", "localhost:3000", "127.0.0.1", "[::1]:3000"):
            assert client.get(path, headers={"Host": own}).status_code == 200
        forwarded = {"Host": host, "X-Forwarded-Host": "drls.example"}
        assert client.get(path, headers=forwarded).status_code == 421


def test_a_trusted_proxy_is_an_address_or_a_network(drls_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRLS_WEB__TRUSTED_PROXIES", '["10.0.0.0/8", "::1"]')
    assert load_settings(drls_home).web.trusted_proxies == ("10.0.0.0/8", "::1")
    load_settings.__globals__["_load"].cache_clear()
    monkeypatch.setenv("DRLS_WEB__TRUSTED_PROXIES", '["proxy.example"]')
    with pytest.raises(UsageError, match="neither an address nor a network"):
        load_settings(drls_home)
