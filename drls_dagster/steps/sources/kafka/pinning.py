"""Asking the brokers what a topic is now: its id, and from where to where each partition has messages."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from drls_dagster.connections.opened import OpenedKafka
from drls_dagster.errors import DrlsError
from drls_dagster.steps.sources.pins import SourceMissing, SourceUnreadable

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

SECONDS = 15.0
# What brokers say while a partition gets another leader.
_PASSING = {"NOT_LEADER_FOR_PARTITION", "LEADER_NOT_AVAILABLE", "REPLICA_NOT_AVAILABLE", "UNKNOWN_LEADER_EPOCH"}
# Settings of Spark's client that this one has as well.
_SHARED = ("client.id", "client.rack", "client.dns.lookup", "ssl.endpoint.identification.algorithm")


@dataclass(frozen=True)
class Seen:
    """`high` is behind the last message that was committed: what follows may still be taken back by its transaction."""

    id: str
    low: dict[int, int]
    high: dict[int, int]


def look(node: str, topic: str, connection: OpenedKafka) -> Seen:
    """Raises SourceMissing where there is no such topic, SourceUnreadable where the brokers do not answer."""
    try:
        from confluent_kafka import KafkaException, admin
    except ImportError:
        raise DrlsError(
            f"node '{node}': sources of kind kafka need an extra: pip install 'drls-dagster[kafka]'"
        ) from None

    heard: list[KafkaError] = []
    # The reference is kept until the answers are there: without it they never come.
    settings: Any = {**client_settings(connection), "error_cb": heard.append}
    client: Any = admin.AdminClient(settings)  # its types know neither callbacks nor what it answers with
    until = time.monotonic() + SECONDS
    while True:
        try:
            return _seen(client, topic)
        except KafkaException as error:
            if error.args[0].name() in _PASSING and time.monotonic() < until:
                time.sleep(0.2)
                continue
            client.poll(0.1)  # hands over what it heard of the brokers meanwhile
            raise _explained(node, topic, connection, error.args[0], heard) from None


def _seen(client: Any, topic: str) -> Seen:
    from confluent_kafka import IsolationLevel, TopicCollection, TopicPartition, admin

    offset: Any = getattr(admin, "OffsetSpec")  # noqa: B009  exported, but not by its types
    told = client.describe_topics(TopicCollection([topic]), request_timeout=SECONDS)[topic].result()
    ends = {
        name: client.list_offsets(
            {TopicPartition(topic, one.id): spec for one in told.partitions},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=SECONDS,
        )
        for name, spec in (("low", offset.earliest()), ("high", offset.latest()))
    }
    found = {
        name: {part.partition: answer.result().offset for part, answer in answers.items()}
        for name, answers in ends.items()
    }
    return Seen(str(told.topic_id), found["low"], found["high"])


def client_settings(connection: OpenedKafka) -> dict[str, Any]:
    """The connection as librdkafka calls it."""
    found: dict[str, Any] = {
        "bootstrap.servers": connection.servers,
        "security.protocol": connection.protocol,
        "log_level": 0,
        **{name: value for name, value in connection.options.items() if name in _SHARED},
    }
    if connection.password is not None:
        found |= {
            "sasl.mechanism": connection.mechanism,
            "sasl.username": connection.user,
            "sasl.password": connection.password,
        }
    if connection.ca is not None:
        found["ssl.ca.location"] = connection.ca
    return found


def _explained(node: str, topic: str, connection: OpenedKafka, error: KafkaError, heard: list[KafkaError]) -> DrlsError:
    where = f"node '{node}': the connection '{connection.name}'"
    name = str(error.name())
    if name == "UNKNOWN_TOPIC_OR_PART":
        return SourceMissing(
            f"node '{node}': there is no topic '{topic}' at '{connection.name}'; correct its name, and let the user "
            "describe and read it"
        )
    if name.endswith("AUTHORIZATION_FAILED"):
        return SourceUnreadable(f"{where} may not read the topic '{topic}'; grant its user DESCRIBE and READ there")
    known = {str(one.name()) for one in heard}
    if "_AUTHENTICATION" in known:
        return SourceUnreadable(
            f"{where} cannot be read: the brokers refuse the user or the password; correct user, password and "
            "sasl_mechanism of the connection"
        )
    said = next((one.str() for one in heard if one.name() not in ("_ALL_BROKERS_DOWN",)), error.str())
    if "SSL" in said:
        remedy = "check security_protocol and ca of the connection"
        return SourceUnreadable(f"{where} cannot be read: {connection.without_password(said)}; {remedy}")
    return SourceUnreadable(
        f"{where} cannot be read: no broker answers ({connection.without_password(said)}); check bootstrap_servers and "
        "security_protocol, and that this machine may reach the brokers"
    )
