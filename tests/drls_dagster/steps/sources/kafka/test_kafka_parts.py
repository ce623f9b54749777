"""Offsets, and a connection as the two clients call it."""

from __future__ import annotations

import pytest

from drls_dagster.connections.opened import OpenedKafka
from drls_dagster.lakehouse.positions import PositionLost
from drls_dagster.steps.sources.kafka.offsets import behind, offsets_of, text_of
from drls_dagster.steps.sources.kafka.pinning import client_settings
from drls_dagster.steps.sources.kafka.reading import spark_settings
from drls_dagster.steps.sources.kafka.source import KafkaPin, Topics


def pin(low: str, high: str) -> KafkaPin:
    return KafkaPin("bus", "sha256:0123456789", "clicks", "an-id", low, high)


def opened(**more: object) -> OpenedKafka:
    given = {"name": "bus", "servers": "a:1,b:2", "protocol": "SASL_SSL", "mechanism": "PLAIN", "user": "reader"}
    return OpenedKafka.model_validate(
        {**given, "password": "kana", "ca": "/etc/ca.pem", "options": {}, "fingerprint": "sha256:0", **more}
    )


def test_offsets_are_the_same_text_in_any_order() -> None:
    assert text_of({10: 5, 2: 7}) == text_of({2: 7, 10: 5}) == "2=7,10=5"
    assert offsets_of("2=7,10=5") == {2: 7, 10: 5}
    for wrong in ("", "1", "a=1", "1=2=3"):
        with pytest.raises(ValueError, match=r"values to unpack|invalid literal"):
            offsets_of(wrong)


def test_a_pin_is_stored_and_found_again() -> None:
    one = pin("0=0", "0=5")
    assert Topics().pinned(one.stored()) == one
    assert one.name == "bus/clicks@01234567"
    assert "schema" not in one.stored(), "a pin from before schemas of registries is the same"
    of_schema = KafkaPin("bus", "sha256:0123456789", "clicks", "an-id", "0=0", "0=5", "sha256:1")
    assert Topics().pinned(of_schema.stored()) == of_schema


def test_d4_a_sink_continues_behind_its_position_and_reads_all_of_a_new_partition() -> None:
    assert behind({0: 5}, pin("0=2,1=3", "0=9,1=9"), "do") == {0: 5, 1: 3}
    assert behind({0: 2, 1: 9}, pin("0=2,1=3", "0=9,1=9"), "do") == {0: 2, 1: 9}


@pytest.mark.parametrize(
    ("position", "told"),
    [
        ({0: 1}, r"begins at offset 2 now.* up to 1: 1 message\(s\) between them are gone; decide$"),
        ({0: 10}, "ends at offset 9, and the sink has read it up to 10: the brokers have lost messages; decide$"),
        ({0: 5, 7: 1}, "no longer has partition 7, of which the sink has read up to 1; decide$"),
    ],
)
def test_d4_a_position_that_the_topic_does_not_continue_from_is_lost(position: dict[int, int], told: str) -> None:
    with pytest.raises(PositionLost, match=told):
        behind(position, pin("0=2", "0=9"), "decide")


def test_both_clients_get_the_same_connection() -> None:
    one = opened(options={"client.id": "drls", "max.poll.records": "10"})
    assert client_settings(one) == {
        "bootstrap.servers": "a:1,b:2", "security.protocol": "SASL_SSL", "log_level": 0, "client.id": "drls",
        "sasl.mechanism": "PLAIN", "sasl.username": "reader", "sasl.password": "kana", "ssl.ca.location": "/etc/ca.pem",
    }  # fmt: skip
    given = spark_settings(one)
    assert given["kafka.ssl.truststore.location"] == "/etc/ca.pem"
    assert given["kafka.isolation.level"] == "read_committed"
    assert given["kafka.max.poll.records"] == "10"
    assert "kana" not in repr(one) + str(one)


def test_a_password_cannot_end_its_place_in_the_login() -> None:
    given = spark_settings(opened(password='a" ; evil.Login required x="\\\n', mechanism="SCRAM-SHA-512"))
    assert given["kafka.sasl.jaas.config"] == (
        'org.apache.kafka.common.security.scram.ScramLoginModule required username="reader" '
        'password="a\\" ; evil.Login required x=\\"\\\\\\012";'
    )
