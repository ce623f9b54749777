"""Whatever is sent to a page, in its address, its query or a form, comes back as text or not at all."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from lifecycle.app.kit.csrf import FIELD, masked
from lifecycle.app.kit.section import load_sections
from lifecycle.app.sections import SECTIONS
from tests.lifecycle.app.everything import fill
from tests.lifecycle.app.test_doors import VALUES
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import Life

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
RAW = re.compile(r"""<script>alert|<img src=x|"'>""")
ROUTES = [
    route
    for section in load_sections(SECTIONS)
    for router in section.pages.routers
    for route in router.routes
    if isinstance(route, APIRoute) and route.path != "/sign-out"
]


def address(route: APIRoute, **evil: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: evil.get(found[1], VALUES[found[1]]), route.path)


def harmless(client: TestClient, method: str, path: str, **options: Any) -> None:
    answer = client.request(method, path, **options)
    assert answer.status_code < 500, (method, path, answer.status_code)
    if answer.headers.get("content-type", "").startswith("text/html"):
        assert not RAW.search(answer.text), (method, path, answer.text)
    assert "evil" not in answer.headers.get("location", "")


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False])
def test_what_is_sent_never_comes_back_as_markup(life: Life, *, scripts: bool) -> None:
    fill(life)
    visitor = Visit(life, "adam")
    headers = {"HX-Request": "true"} if scripts else {}
    for route in ROUTES:
        method = next(iter(route.methods or ()))
        good = {FIELD: masked(visitor.session), "key": "k-1"}
        queries = {one.alias: EVIL for one in route.dependant.query_params}
        fields = {one.alias: EVIL for one in route.dependant.body_params} | good
        body = {"data": good} if method == "POST" else {}
        for name in re.findall(r"{(\w+)}", route.path):
            path = address(route, **{name: EVIL.replace("/", "%2F")})
            harmless(visitor.client, method, path, headers=headers, **body)
        harmless(visitor.client, method, address(route), params=queries, headers=headers, **body)
        # One wrong field at a time, beside what makes sense: a check that comes first hides no other.
        for name in fields if method == "POST" else ():
            sent = {**good, name: EVIL} if name not in good else fields
            harmless(visitor.client, method, address(route), headers=headers, data=sent)
    assert "adam</summary>" in visitor.page("/"), "what was sent signed the visitor out: the rest proved nothing"
