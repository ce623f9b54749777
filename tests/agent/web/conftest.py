"""The web app with chats, next to a chat process that does what a test says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.web.process import ChatProcess
from agent.web.section import SECTION
from lifecycle.app.kit.parts import Parts
from lifecycle.app.kit.section import parts_of
from lifecycle.app.sections import SECTIONS
from lifecycle.app.site import Site, create_site
from lifecycle.audit.keys import SigningKey
from lifecycle.store.store import Store
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.fakes.chats import FakeChats
from tests.fakes.clock import FakeClock
from tests.fakes.plane import FakePlane
from tests.lifecycle.life import SETUP, Life

_KEPT: list[Site] = []


def site_with_chats(context: Context, process: ChatProcess) -> Site:
    """One site for all tests, on the store and the chat process of the one that asks."""
    if not _KEPT:
        _KEPT.append(create_site(context, (*SECTIONS, SECTION), connected=(process,)))
    (site,) = _KEPT
    parts = parts_of(context, site.sections, Parts((process,)))
    for app in (site.api, site.pages):
        app.state.context, app.state.parts = context, parts
    return site


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    clock = FakeClock()
    store = Store.create(f"sqlite:///{tmp_path / 'lifecycle.db'}", SigningKey.generate(), clock)
    made = Life(store, tmp_path, clock, plane=FakePlane(tmp_path / "plane.db"))
    with store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    yield made
    store.close()


@pytest.fixture
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeChats]:
    made = FakeChats(tmp_path_factory.mktemp("s") / "chat.sock")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def process(fake: FakeChats) -> ChatProcess:
    return ChatProcess(fake.socket, lambda _, who: f"token-{who.actor.name}")
