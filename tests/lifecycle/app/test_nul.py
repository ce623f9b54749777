"""A NUL character, which PostgreSQL keeps in no text: each form refuses it, whichever field it is in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lifecycle.app.kit.csrf import FIELD, masked
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import Life

DEFINITION = """
format_version: 1
name: orders
nodes:
  - {id: raw, type: source, source: {kind: iceberg, table: sales.raw}}
  - {id: kept, type: sink, table: sales.kept, mode: overwrite}
edges: [{from: raw, to: kept}]
"""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_nul_is_refused_in_the_form_that_carries_it(visit: Callable[[str | None], Visit], life: Life) -> None:
    life.save()
    ada, adam = visit("ada"), visit("adam")
    assert "key contains a NUL" in ada.said("/pipelines/flights/versions/1/clone", to="other", key="a key\x00")
    assert "key contains a NUL" in adam.said("/settings/people", name="new", key="a key\x00")
    said = ada.client.post(
        "/pipelines/import",
        data={FIELD: masked(ada.session), "key": "a long key", "message": "why\x00"},
        files={"file": ("orders.yaml", DEFINITION)},
    )
    assert said.status_code == 422
    assert "message contains a NUL" in said.text
    assert "ada</summary>" in said.text
    assert "orders" not in ada.page("/pipelines")


def test_nobody_can_sign_in_with_a_nul(visit: Callable[[str | None], Visit]) -> None:
    nobody = visit(None)
    for fields in ({"account": "ada\x00", "password": "x"}, {"account": "ada", "password": "x\x00"}):
        assert nobody.client.post("/sign-in", data=fields).status_code == 422
    assert nobody.client.post("/sign-in/link", data={"secret": "x\x00"}).status_code == 422
