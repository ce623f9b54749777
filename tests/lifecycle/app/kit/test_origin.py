"""Which requests count as sent by one of our own pages (A5)."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from lifecycle.app.kit.origin import check_origin, is_own_page
from lifecycle.errors import Forbidden

OWN = {"origin": "https://DRLS.example:8443", "sec-fetch-site": "same-origin"}
FOREIGN = (
    {"origin": "https://other.example"},
    {"origin": "null"},
    {"origin": "https://drls.example"},  # another port is another origin
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {**OWN, "sec-fetch-site": "cross-site"},
    {**OWN, "origin": "null"},
)


def request(method: str = "POST", **headers: str) -> Request:
    given = {"host": "drls.example:8443", **headers}
    raw = [(name.encode(), value.encode()) for name, value in given.items()]
    return Request({"type": "http", "method": method, "path": "/", "query_string": b"", "headers": raw})


@pytest.mark.parametrize("headers", [OWN, {"origin": OWN["origin"]}, {"sec-fetch-site": "same-origin"}])
def test_a5_one_of_our_own_pages_may_change_something(headers: dict[str, str]) -> None:
    check_origin(request(**headers))
    assert is_own_page(request(**headers), must_say=True)


@pytest.mark.parametrize("headers", FOREIGN)
def test_a5_a_foreign_page_may_change_nothing_but_may_link_here(headers: dict[str, str]) -> None:
    with pytest.raises(Forbidden, match="another site's page"):
        check_origin(request(**headers))
    check_origin(request("GET", **headers))


def test_a5_what_says_nothing_is_a_program_unless_it_carries_a_cookie() -> None:
    check_origin(request())
    assert is_own_page(request())
    assert not is_own_page(request(), must_say=True)


def test_a5_an_opaque_origin_does_not_pass_for_a_request_without_a_host() -> None:
    assert not is_own_page(request(origin="null", host=""))
