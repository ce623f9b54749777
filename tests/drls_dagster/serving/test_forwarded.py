"""Who the client is, behind proxies that are trusted and others (A6)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from drls_dagster.serving.forwarded import Forwarded, Kind, is_trusted, networks

PROXY, INNER = "192.0.2.1", "192.0.2.7"
TRUSTED = networks(["192.0.2.0/24"])


def seen(
    *headers: tuple[str, str], client: str = PROXY, kind: Kind = "x-forwarded", scope_type: str = "http"
) -> tuple[str, str]:
    """The client's address and the scheme that an app behind it sees."""
    found: list[Scope] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        found.append(scope)

    scope: dict[str, Any] = {
        "type": scope_type,
        "client": (client, 4711),
        "scheme": "ws" if scope_type == "websocket" else "http",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    asyncio.run(Forwarded(app, TRUSTED, kind)(scope, None, None))  # type: ignore[arg-type]
    return found[0]["client"][0], found[0]["scheme"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")], ("203.0.113.9", "https")),
        ([("X-Forwarded-For", f"203.0.113.9, {INNER}"), ("X-Forwarded-Proto", "https")], ("203.0.113.9", "https")),
        ([("X-Forwarded-For", "10.0.0.1, 203.0.113.9")], ("203.0.113.9", "http")),
        ([("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-For", "203.0.113.9")], ("203.0.113.9", "http")),
        ([("X-Forwarded-For", "[2001:db8::1]:4711")], ("2001:db8::1", "http")),
        ([("X-Forwarded-For", "203.0.113.9:4711")], ("203.0.113.9", "http")),
        ([("X-Forwarded-For", "unknown")], (PROXY, "http")),
        ([("X-Forwarded-Proto", "https")], (PROXY, "https")),
        ([("X-Forwarded-Proto", "https, http")], (PROXY, "http")),
        ([("X-Forwarded-Proto", "gopher")], (PROXY, "http")),
        ([("Forwarded", "for=203.0.113.9;proto=https")], (PROXY, "http")),
        ([], (PROXY, "http")),
    ],
)
def test_a6_a_trusted_proxy_names_the_client_and_each_step_only_as_far_as_it_is_trusted(
    headers: list[tuple[str, str]], expected: tuple[str, str]
) -> None:
    assert seen(*headers) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=203.0.113.9;proto=https", ("203.0.113.9", "https")),
        ('For="[2001:db8::1]:4711"; Proto=HTTPS', ("2001:db8::1", "https")),
        (f"for=10.0.0.1;proto=http, for=203.0.113.9;proto=https, for={INNER}", ("203.0.113.9", "https")),
        ('for="203.0.113.9, 10.0.0.1"', (PROXY, "http")),
        ("for=_hidden;proto=https", (PROXY, "https")),
    ],
)
def test_a6_the_standard_header_counts_where_it_is_the_one_that_the_proxy_sets(
    value: str, expected: tuple[str, str]
) -> None:
    spoofed = ("X-Forwarded-For", "10.9.9.9")
    assert seen(("Forwarded", value), spoofed, kind="forwarded") == expected


def test_a6_who_is_no_trusted_proxy_names_nobody() -> None:
    headers = ("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")
    assert seen(*headers, client="198.51.100.1") == ("198.51.100.1", "http")


def test_a6_a_websocket_becomes_a_secure_one() -> None:
    assert seen(("X-Forwarded-Proto", "https"), scope_type="websocket") == (PROXY, "wss")


def test_a6_a_chain_of_proxies_is_followed_twenty_steps_far() -> None:
    steps = ", ".join(["203.0.113.9", *[INNER] * 30])
    assert seen(("X-Forwarded-For", steps)) == (INNER, "http")


@pytest.mark.parametrize(
    ("address", "trusted"),
    [("192.0.2.200", True), ("::ffff:192.0.2.200", True), ("192.0.3.1", False), ("::1", False), ("testclient", False)],
)
def test_an_address_is_trusted_in_either_spelling(address: str, trusted: bool) -> None:
    assert is_trusted(address, TRUSTED) is trusted


def test_a_setting_that_names_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="proxy"):
        networks(["proxy"])
