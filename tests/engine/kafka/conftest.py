"""A Kafka broker that asks for a password, and an engine whose settings name it."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from topics import CANARY, VARIABLE

from drls_dagster import settings
from drls_dagster.engine import client
from drls_dagster.engine.processes import processes_of
from drls_dagster.engine.state import read_state
from drls_dagster.settings import private_home
from tests.conftest import ONCE
from tests.kafka_server import READER, Kafka, running_kafka

HERE = Path(__file__).parent

CONNECTIONS = """
[engine.spark_conf]
"spark.eventLog.enabled" = "true"
"spark.eventLog.compress" = "false"
"spark.eventLog.dir" = "file://{events}"

[connections.bus]
kind = "kafka"
bootstrap_servers = ["{servers}"]
security_protocol = "sasl_plaintext"
sasl_mechanism = "PLAIN"
user = "{user}"
password = "env:{variable}"

[connections.operations]
kind = "kafka"
bootstrap_servers = ["{servers}"]
security_protocol = "sasl_plaintext"
sasl_mechanism = "PLAIN"
user = "{user}"
password = "env:{variable}"

[connections.wrong]
kind = "kafka"
bootstrap_servers = ["{servers}"]
security_protocol = "sasl_plaintext"
sasl_mechanism = "PLAIN"
user = "{user}"
password = "file:{wrong}"
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def broker() -> Iterator[Kafka]:
    with running_kafka(CANARY) as found:
        yield found


@pytest.fixture
def topic(broker: Kafka, request: pytest.FixtureRequest) -> str:
    """A new topic of two partitions, named after the test."""
    return broker.topic(f"{re.sub(r'[^a-z0-9]+', '-', request.node.name)[:80]}-{uuid.uuid4().hex[:6]}", partitions=2)


@pytest.fixture(scope="session")
def engine(broker: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[settings.Settings]:
    """One for all tests here. DRLS_TEST_HOME names a home whose engine stays warm: for development."""
    kept = os.environ.get("DRLS_TEST_HOME")
    home = Path(kept) if kept else tmp_path_factory.mktemp("drls")
    wrong = tmp_path_factory.mktemp("secrets") / "wrong"
    wrong.write_text(f"not-{CANARY}")
    events = private_home(home, "engine") / "events"
    events.mkdir(exist_ok=True)
    named = {"servers": broker.servers, "user": READER, "variable": VARIABLE, "wrong": wrong, "events": events}
    (home / "drls.toml").write_text(CONNECTIONS.format(**named))
    settings._load.cache_clear()
    found = settings.load_settings(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", ONCE)
        patch.setenv(VARIABLE, CANARY)
        client.ensure_engine(found)
        yield found
    if kept:
        for process in client._STARTED:
            process.returncode = 0  # it is meant to outlive this process, which would warn of that
        return
    state = read_state(found)
    client.stop(found, force=True)
    assert state is None or not processes_of(state.engine_id), "the engine left a process"
