"""The web app with tables, over a real catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi.testclient import TestClient

from drls_dagster.lakehouse.reader import IcebergTables
from drls_dagster.settings import load_settings
from drls_dagster.web.sections import SECTIONS
from lifecycle.app.kit.csrf import FIELD, masked
from lifecycle.app.kit.parts import Parts
from lifecycle.app.kit.request import COOKIE
from lifecycle.app.kit.section import parts_of
from lifecycle.app.site import Site, create_site
from lifecycle.audit.keys import SigningKey
from lifecycle.store.store import Store
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.fakes.clock import FakeClock
from tests.lifecycle.app.visit import PASSWORD
from tests.lifecycle.life import SETUP, Life

_KEPT: list[Site] = []
_LOOPS: list[BlockingPortal] = []


@pytest.fixture(scope="session", autouse=True)
def _one_loop() -> Iterator[None]:
    with start_blocking_portal() as loop:
        _LOOPS.append(loop)
        yield
        _LOOPS.clear()


def site_with_tables(context: Context) -> Site:
    """One site for all tests, on the store and the catalog of the one that asks."""
    if not _KEPT:
        _KEPT.append(create_site(context, SECTIONS))
    (site,) = _KEPT
    parts = parts_of(context, site.sections, Parts())
    for app in (site.api, site.pages):
        app.state.context, app.state.parts = context, parts
    return site


class Reader:
    """Somebody's browser without scripts."""

    def __init__(self, life: Life, name: str) -> None:
        self.client = TestClient(site_with_tables(life.ctx), follow_redirects=False)
        self.client.portal = _LOOPS[0]
        life.give_password(name, PASSWORD)
        assert self.client.post("/sign-in", data={"account": name, "password": PASSWORD}).status_code == 303

    def get(self, path: str, *, part: bool = False):
        return self.client.get(path, headers={"HX-Request": "true"} if part else {})

    def page(self, path: str, status: int = 200) -> str:
        answer = self.get(path)
        assert answer.status_code == status, (path, answer.status_code, answer.text[-800:])
        return answer.text

    def post(self, path: str, /, **fields: str):
        """Sends a page's form."""
        data = {FIELD: masked(self.client.cookies[COOKIE]), "key": f"key-{path}", **fields}
        return self.client.post(path, data=data)


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    clock = FakeClock()
    store = Store.create(f"sqlite:///{tmp_path / 'lifecycle.db'}", SigningKey.generate(), clock)
    made = Life(store, tmp_path, clock)
    made.ctx = replace(made.ctx, tables=IcebergTables(load_settings()))
    with store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    yield made
    store.close()


@pytest.fixture
def read(life: Life) -> Callable[[str], Reader]:
    """Opens the app for a person of the small world."""
    return lambda name: Reader(life, name)
