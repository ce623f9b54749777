"""A Kafka broker that asks for a password, and an engine whose settings name it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from topics import CANARY, VARIABLE

from drls_dagster import settings
from drls_dagster.private_home import private_home
from tests.kafka_server import READER, Kafka, running_kafka
from tests.running_engine import running_engine
from tests.schema_registry import SchemaRegistry, running_registry

HERE = Path(__file__).parent

EVENTS = """
[engine.spark_conf]
"spark.eventLog.enabled" = "true"
"spark.eventLog.compress" = "false"
"spark.eventLog.dir" = "file://{events}"
"""
CONNECTION = """
[connections.{name}]
kind = "kafka"
bootstrap_servers = ["{servers}"]
security_protocol = "sasl_plaintext"
sasl_mechanism = "PLAIN"
user = "{user}"
password = "{password}"
"""
REGISTRY = """
[connections.schemas]
kind = "registry"
url = "{url}"
user = "{user}"
password = "{password}"
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def broker() -> Iterator[Kafka]:
    with running_kafka(CANARY) as found:
        yield found


@pytest.fixture(scope="session")
def registry() -> Iterator[SchemaRegistry]:
    with running_registry(READER, CANARY) as found:
        yield found


@pytest.fixture
def topic(broker: Kafka, request: pytest.FixtureRequest) -> str:
    """A new topic of two partitions, named after the test."""
    return broker.topic(f"{re.sub(r'[^a-z0-9]+', '-', request.node.name)[:80]}-{uuid.uuid4().hex[:6]}", partitions=2)


@pytest.fixture(scope="session")
def engine(
    broker: Kafka, registry: SchemaRegistry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[settings.Settings]:
    """One for all tests here."""
    wrong = tmp_path_factory.mktemp("secrets") / "wrong"
    wrong.write_text(f"not-{CANARY}")
    passwords = {"bus": f"env:{VARIABLE}", "operations": f"env:{VARIABLE}", "wrong": f"file:{wrong}"}

    def prepare(home: Path) -> None:
        events = private_home(home, "engine") / "events"
        events.mkdir(exist_ok=True)
        connections = [
            CONNECTION.format(name=name, servers=broker.servers, user=READER, password=password)
            for name, password in passwords.items()
        ]
        connections.append(REGISTRY.format(url=registry.url, user=READER, password=passwords["bus"]))
        (home / "drls.toml").write_text("".join([EVENTS.format(events=events), *connections]))

    with running_engine(tmp_path_factory, prepare, **{VARIABLE: CANARY}) as found:
        yield found
