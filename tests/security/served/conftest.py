"""Attacks on what is served: a real store, real sockets on loopback."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.lifecycle.life import SETUP, Life
from tests.security.served.server import PASSWORD, Web, served


@pytest.fixture(params=["sqlite"])
def database(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def life(life: Life) -> Life:
    """After its first start, and everybody has a password."""
    with life.store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    for name in ("ada", "adam", "lea", "vic"):
        life.give_password(name, PASSWORD)
    return life


@pytest.fixture
def web(life: Life) -> Generator[Web]:
    with served(life) as made:
        yield made
