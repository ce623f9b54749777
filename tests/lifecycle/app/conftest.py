"""Pages are asked without scripts, on a real store."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from anyio.from_thread import start_blocking_portal

from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.lifecycle.app.visit import Visit
from tests.lifecycle.life import SETUP, Life


@pytest.fixture(scope="session", autouse=True)
def _one_loop() -> Iterator[None]:
    with start_blocking_portal() as loop:
        Visit.loop = loop
        yield
        Visit.loop = None


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def visit(life: Life) -> Callable[[str | None], Visit]:
    """Opens the app for a person of the small world, or for nobody."""
    return lambda name: Visit(life, name)


@pytest.fixture
def life(life: Life) -> Life:
    """The small world after its first start: what is left for the next page can be sealed."""
    with life.store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    return life
