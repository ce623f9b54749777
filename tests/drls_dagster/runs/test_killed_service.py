"""L11, L17: `kill -9` of the run service at each stage of a publish; the run asks again, and nothing is lost or twice."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.ledger import open_ledger
from drls_dagster.runs.client import RunClient
from tests.drls_dagster.runs.conftest import HERE, World, listening_at
from tests.drls_dagster.runs.test_run_service import head, written
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
# The run service, which ends before or behind one part of a publish.
DYING = """
import os, signal, sys
from drls_dagster.lakehouse import refs
from drls_dagster.runs import publishing, server

name, when = sys.argv.pop(1), sys.argv.pop(1)
holder = refs if name == "publish" else publishing
act = getattr(holder, name)

def killed(*given, **more):
    if when == "behind":
        act(*given, **more)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(holder, name, killed)
server.main()
"""
STAGES = [
    ("grant_permit", "before"),
    ("grant_permit", "behind"),
    ("publish", "behind"),
    ("record_receipt", "behind"),
    ("state_of", "behind"),  # all is done, and nobody was told
]


@pytest.mark.parametrize(("part", "when"), STAGES, ids=[" ".join(one) for one in STAGES])
def test_a_publish_survives_the_service_that_is_killed_in_it(
    world: World, tmp_path: Path, part: str, when: str
) -> None:
    client = world.begun()
    candidate = written(world, client)
    with listening_at(tmp_path / "own.sock") as listening:
        asking = RunClient(world.way(world.token(), tmp_path / "own.sock", patience=600), world.name, HERE)
        answers: list[object] = []
        waiting = threading.Thread(target=lambda: answers.append(asking.publish(world.execution, candidate)))
        first = served(world, listening, "-c", DYING, part, when)
        waiting.start()
        assert first.wait(400) == -signal.SIGKILL
        second = served(world, listening, "-m", "drls_dagster.runs.server")
        try:
            wait_until(lambda: not waiting.is_alive(), 400)
        finally:
            second.kill()
            second.wait(30)
            waiting.join(30)
    assert len(answers) == 1
    assert head(world) == candidate.snapshot
    with world.ctx.store.read() as view:
        (receipt,) = view.runs.receipts_on(candidate.table, HERE)
        assert view.runs.live_permits(view.pipelines.named(world.name).id, HERE) == ()
    assert (receipt.run_id, receipt.snapshot) == (world.run, candidate.snapshot)
    assert receipt.details.seal is not None
    table = load_catalog(world.settings).load_table(world.table)
    assert candidate.branch not in table.metadata.refs
    (record,) = open_ledger(world.settings).publishes(str(table.metadata.table_uuid))
    assert record.snapshot_id == candidate.snapshot


def served(world: World, listening: socket.socket, *program: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, *program, "--fd", str(listening.fileno())]
    environment = {**os.environ, "DRLS_HOME": str(world.settings.home)}
    return subprocess.Popen(command, pass_fds=[listening.fileno()], env=environment)
