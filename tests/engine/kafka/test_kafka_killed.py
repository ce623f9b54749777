"""A read of a topic that is killed leaves nothing, and the next run reads every message once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lab import Lab, sink, wait_for
from topics import kafka, orders

from tests.kafka_server import Kafka


def test_d13_a_killed_read_publishes_nothing_and_the_next_run_reads_every_message_once(
    lab: Lab, broker: Kafka, topic: str
) -> None:
    broker.send(topic, *orders(0, 200_000))
    text = lab.pipeline(kafka("orders", topic), sink("out", lab.named("out"), "append"), flow="orders>out")
    here = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": f"{here.parents[1]}{os.pathsep}{here}"}
    staging = lab.settings.home / "staging"
    before = set(staging.glob("*/orders_*/*"))
    words = [sys.executable, str(here / "lab.py"), str(lab.settings.home), str(lab.file("killed.json", text))]
    worker = subprocess.Popen(words, env=env)
    wait_for("the read", lambda: worker.poll() is not None or set(staging.glob("*/orders_*/*")) - before)
    worker.kill()
    worker.wait()
    assert not lab.catalog.table_exists(lab.identifier("out"))
    ran = lab.run(text)
    assert ran.success, ran.failures
    assert len(set(lab.rows("out", "id"))) == len(lab.rows("out", "id")) == 200_000
