"""One model provider and one home with people for all tests of the chat; each test works on a copy of the home."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.tools import registry
from tests.agent.chat import world as world_module
from tests.agent.chat.world import World, make_home
from tests.fakes.model import KEY, FakeModel, serve_model


@pytest.fixture(scope="session")
def provider() -> Iterator[FakeModel]:
    with serve_model() as fake:
        yield fake


@pytest.fixture(scope="session")
def template() -> dict[str, str]:
    """The tokens of the people of the home, once it is made."""
    return {}


@pytest.fixture
def world(
    drls_home: Path,
    tmp_path_factory: pytest.TempPathFactory,
    template: dict[str, str],
    provider: FakeModel,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """Ada (DataEngineer), Lea (Lead), Vic (Viewer), Root (Admin) and the pipeline flights; a provider; three tools of the tests."""
    made = tmp_path_factory.getbasetemp() / "chat-home"
    if not template:
        template.update(make_home(made))
    shutil.copytree(made, drls_home)
    monkeypatch.setenv("MODEL_KEY", KEY)
    monkeypatch.setattr(registry, "GROUPS", (*registry.GROUPS, world_module.__name__))
    registry.all_tools.cache_clear()
    world_module.DONE.clear()
    world_module.DAGSTER.asked.clear()
    world_module.SHELF.rows.clear()
    world_module.SHELF.hold = None
    provider.reset()
    found = World(drls_home, template, provider)
    found.configure()
    yield found
    registry.all_tools.cache_clear()
