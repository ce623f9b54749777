"""`kill -9` of `drls up` itself: what it started goes too, and the next one starts."""

from __future__ import annotations

import pytest

from drls_dagster.engine.processes import processes_of
from drls_dagster.up.layout import MARK
from tests.drls_dagster.up.conftest import Up, left_of, wait_until

pytestmark = pytest.mark.slow


def test_kill_9_leaves_nothing_after_ten_seconds(up: Up) -> None:
    up_id = up.up_id
    assert len(processes_of(up_id, MARK)) >= 10
    up.process.kill()
    up.process.wait(10)
    wait_until(lambda: left_of(up_id) == [], 10)
    assert "drls up does not run here" in up.drls("status").stdout
