"""Every test here needs the engine, and gets a lab on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab
from lifecycle_lab import LifecycleLab

from drls_dagster.settings import Settings

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.engine)


@pytest.fixture
def lab(engine: Settings, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Tables, files and pipelines of this test alone."""
    monkeypatch.setenv("DRLS_HOME", str(engine.home))
    with Lab(engine, _stem(request)) as made:
        yield made


@pytest.fixture
def life(engine: Settings, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[LifecycleLab]:
    """Tables, files and one pipeline of this test alone, with the lifecycle that all tests share."""
    monkeypatch.setenv("DRLS_HOME", str(engine.home))
    monkeypatch.setenv("DAGSTER_HOME", str(engine.home / "dagster"))  # what runs set is put back
    with LifecycleLab(engine, _stem(request)) as made:
        yield made


def _stem(request: pytest.FixtureRequest) -> str:
    return re.sub(r"\W+", "_", request.node.name).lower()[:30].strip("_")
