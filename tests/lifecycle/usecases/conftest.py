"""What tests of use cases share besides `life`."""

from __future__ import annotations

import pytest

from lifecycle.usecases.accounts import set_password
from lifecycle.usecases.parts.signed_tokens import rotate_secret
from tests.lifecycle.life import SETUP, Life
from tests.lifecycle.usecases.signing_in import PASSWORD


@pytest.fixture
def secured(life: Life) -> Life:
    with life.store.write(SETUP, "rotate") as unit:
        rotate_secret(unit)
    set_password(life.ctx, life.as_("adam"), "ada", PASSWORD)
    return life
