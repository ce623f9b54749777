"""A server answers to its own names alone (A6)."""

from __future__ import annotations

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from drls_dagster.serving.hosts import KnownHosts, host_of_url

HOSTS = ("drls.example.org", "Other.Example.org")


def status(host: str) -> int:
    client = TestClient(KnownHosts(PlainTextResponse("hello"), HOSTS))
    return client.get("/", headers={"Host": host}).status_code


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:3000", "127.0.0.1:80", "[::1]:80", "[::1]", "drls.example.org", "DRLS.example.org:443",
        "drls.example.org.", "other.example.org",
    ],
)  # fmt: skip
def test_a6_its_own_names_are_answered_with_any_port_and_in_any_case(host: str) -> None:
    assert status(host) == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example.org", "drls.example.org.evil.org", "127.0.0.1.evil.org", "localhost.evil.org:3000", "", "127.0.0.2"],
)
def test_a6_any_other_name_is_refused_with_what_to_set(host: str) -> None:
    answer = TestClient(KnownHosts(PlainTextResponse("hello"), HOSTS)).get("/", headers={"Host": host})
    assert answer.status_code == 421
    assert "web.hosts" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://drls.example.org:8443/x", "drls.example.org"),
        ("https://user:secret@DRLS.example.org", "drls.example.org"),
        ("http://[::1]:3000", "[::1]"),
    ],
)
def test_the_name_in_an_address_is_as_a_host_header_has_it(url: str, host: str) -> None:
    assert host_of_url(url) == host
