"""Pages are asked without scripts, on a real store."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lifecycle.usecases.signed_tokens import rotate_secret
from tests.lifecycle.app.pages.visit import Visit
from tests.lifecycle.life import SETUP, Life


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def visit(life: Life) -> Callable[[str | None], Visit]:
    """Opens the app for a person of the small world, or for nobody."""
    with life.store.write(SETUP, "setup") as unit:
        # As the first start does: what a form leaves to be said on the next page is signed.
        rotate_secret(unit)
    return lambda name: Visit(life, name)
