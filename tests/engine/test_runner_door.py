"""The Ray runner serves steps whoever else connects to it."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest
from lab import Lab, files, ray, sink

from drls_dagster.engine import client
from drls_dagster.engine import state as st


@pytest.mark.slow
def test_a_ray_step_goes_on_while_silent_clients_hold_the_runners_port(lab: Lab) -> None:
    """Finding 20; failed on 0.1.0: the step waited for ever behind the first of them."""
    engine = st.read_state(lab.settings)
    assert engine is not None
    runner = client.wait_for_runner(lab.settings, engine)
    lab.file("a.csv", "id\n1\n2\n")
    text = lab.pipeline(
        files("raw", lab.path("*.csv"), id="long"),
        ray("worked", "def process(batch): return batch", id="long"),
        sink("out", lab.named("out"), "overwrite"),
        flow="raw>worked>out",
    )
    with ExitStack() as stack:
        for _ in range(80):  # more than the door has room for
            stack.enter_context(socket.create_connection(("127.0.0.1", runner.port), timeout=30))
        lab.prepare(text).sink("out")
    assert lab.rows("out") == [(1,), (2,)]
    assert st.read_runner(lab.settings, engine.engine_id) == runner, "the same runner, all the time"
