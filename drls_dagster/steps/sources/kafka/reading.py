"""Reading a topic with Spark, between offsets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drls_dagster.connections.opened import OpenedKafka
from drls_dagster.engine.session import first_line
from drls_dagster.steps.sources.kafka.avro_messages import Avro
from drls_dagster.steps.sources.kafka.messages import explained, rows_of
from drls_dagster.steps.sources.kafka.offsets import Offsets
from drls_dagster.steps.sources.pins import SourceMissing, SourceUnreadable
from drls_dagster.steps.sources.staged import Kept, write_rows
from lifecycle.spec import KafkaSource

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

_LOGINS = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
_GONE = ("Could not read records in offset", "OffsetOutOfRange", "KAFKA_DATA_LOSS", "UnknownTopicOrPartition")


@dataclass(frozen=True)
class Wanted:
    """What is read: of each partition from its `start` up to, and not including, its `end`."""

    node: str
    source: KafkaSource
    start: Offsets
    end: Offsets
    avro: Avro | None = None


def staged(spark: SparkSession, wanted: Wanted, connection: OpenedKafka, folder: str) -> Kept:
    """Writes the rows to a folder below `folder`. Raises SourceUnreadable and SourceMissing."""
    node, source = wanted.node, wanted.source

    def unreadable(error: Exception) -> SourceUnreadable | SourceMissing:
        text = connection.without_password(str(error))
        misfit = explained(node, source, text)
        if misfit is not None:
            return misfit
        if any(words in text for words in _GONE):
            return SourceMissing(
                f"node '{node}': messages that this run pinned of '{source.topic}' are gone, most likely by retention "
                "or because the topic was made anew; start a new run"
            )
        said = connection.without_password(first_line(error))
        return SourceUnreadable(f"node '{node}': the connection '{connection.name}' cannot be read: {said}")

    options = {**spark_settings(connection), **_between(wanted)}
    return write_rows(
        lambda: rows_of(node, source, spark.read.format("kafka").options(**options).load(), wanted.avro),
        folder,
        unreadable,
    )


def _between(wanted: Wanted) -> dict[str, str]:
    topic = wanted.source.topic
    start, end = ({str(key): value for key, value in sorted(one.items())} for one in (wanted.start, wanted.end))
    return {
        # Exactly these partitions: Spark refuses one that is new since the pin.
        "assign": json.dumps({topic: sorted(wanted.end)}),
        "startingOffsets": json.dumps({topic: start}),
        "endingOffsets": json.dumps({topic: end}),
        "failOnDataLoss": "true",
        "includeHeaders": "true",
    }


def spark_settings(connection: OpenedKafka) -> dict[str, str]:
    """The connection as Spark's options call it."""
    found = {
        **connection.options,
        "bootstrap.servers": connection.servers,
        "security.protocol": connection.protocol,
        # What a transaction has taken back is no message; this run's end is behind the last that was committed.
        "isolation.level": "read_committed",
    }
    if connection.password is not None:
        found["sasl.mechanism"] = connection.mechanism
        found["sasl.jaas.config"] = (
            f"{_LOGINS[connection.mechanism]} required username={_quoted(connection.user or '')} "
            f"password={_quoted(connection.password)};"
        )
    if connection.ca is not None:
        found |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": connection.ca}
    return {f"kafka.{name}": value for name, value in found.items()}


def _quoted(text: str) -> str:
    """As the client's parser of logins reads text in quotes: with C's escapes, on one line."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(one if one.isprintable() else f"\\{ord(one):03o}" for one in plain) + '"'
