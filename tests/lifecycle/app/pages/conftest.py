"""Pages are asked without scripts, on a real store."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.lifecycle.app.pages.visit import Visit
from tests.lifecycle.life import Life


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def visit(life: Life) -> Callable[[str | None], Visit]:
    """Opens the app for a person of the small world, or for nobody."""
    return lambda name: Visit(life, name)
