"""Every test here needs the engine, and gets a lab on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab

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
    stem = re.sub(r"\W+", "_", request.node.name).lower()[:30].strip("_")
    with Lab(engine, stem) as made:
        yield made
