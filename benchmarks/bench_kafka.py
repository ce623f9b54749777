"""A topic of Kafka read between two offsets and published, against plain Spark's batch read of them into a table.

Both sides work on the same warm engine, and take the same JSON apart by the same schema. Ours goes through Dagster,
stages the messages once per run, refuses those that do not fit, publishes, and keeps position and receipts.
"""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from pyspark.sql.connect.functions import builtin as f
from pyspark.sql.connect.session import SparkSession

from benchmarks.lab import Lab, in_turn, seconds
from benchmarks.launched import launched, written
from benchmarks.report import Line, Side, at_least
from drls_dagster.engine.session import session
from drls_dagster.lakehouse.catalog import load_catalog
from drls_dagster.lakehouse.columns import spark_ddl_of_spec
from tests.kafka_server import READER, Kafka, running_kafka

PARTITIONS = 4
SHARE = 0.9
PASSWORD = "the-benchmarks-own"  # noqa: S105
TOPIC = "orders"
SCHEMA = {"id": "long", "customer": "string", "price": "double", "day": "int"}
CONNECTION = """
[connections.bus]
kind = "kafka"
bootstrap_servers = ["{servers}"]
security_protocol = "sasl_plaintext"
sasl_mechanism = "PLAIN"
user = "{user}"
password = "file:{password}"
"""


def run(lab: Lab) -> list[Line]:
    messages = lab.times(2_000_000, 50_000)
    with running_kafka(PASSWORD) as broker:
        broker.topic(TOPIC, partitions=PARTITIONS)
        for partition in range(PARTITIONS):
            broker.send(TOPIC, *(_message(n) for n in range(partition, messages, PARTITIONS)), partition=partition)
        password = lab.folder / "password"
        password.write_text(PASSWORD)
        text = CONNECTION.format(servers=broker.servers, user=READER, password=password)
        with lab.connected(text):
            lab.engine()
            with session(lab.settings) as opened:
                return [_line(lab, opened.spark, broker, messages)]


def _line(lab: Lab, spark: SparkSession, broker: Kafka, messages: int) -> Line:
    numbers = count()  # a sink reads a message once, so that each run has a table of its own
    tables: list[tuple[str, str]] = []
    spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.bench_plain").collect()

    def ours() -> float:
        name = f"orders_{next(numbers)}"
        source = {"kind": "kafka", "connection": "bus", "topic": TOPIC, "format": "json", "schema": SCHEMA}
        nodes = [
            {"id": "orders", "type": "source", "source": source},
            {"id": "kept", "type": "sink", "table": f"bench.{name}", "mode": "append"},
        ]
        tables.append(("bench__development", name))
        return launched(lab, written(lab.folder, f"kafka_{name}", nodes, ("orders", "kept"))).seconds

    def theirs() -> float:
        name = f"orders_{next(numbers)}"
        tables.append(("bench_plain", name))
        return seconds(lambda: _plain(spark, broker, messages, f"lake.bench_plain.{name}"))

    in_turn(1, ours, theirs)
    a, b = in_turn(lab.times(5, 2), ours, theirs)
    for table in tables:
        _verify(lab, table, messages)
    sides = Side(f"DRLS run, {messages:,} messages", a), Side("plain Spark, batch, on the same engine", b)
    return at_least("kafka", "a bounded read into a table", *sides, SHARE)


def _message(number: int) -> str:
    return json.dumps(
        {"id": number, "customer": f"customer {number % 100_000}", "price": number / 4, "day": number % 31}
    )


def _plain(spark: SparkSession, broker: Kafka, messages: int, table: str) -> None:
    ends = {str(partition): -(-(messages - partition) // PARTITIONS) for partition in range(PARTITIONS)}
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    options: dict[str, Any] = {
        "kafka.bootstrap.servers": broker.servers,
        "kafka.security.protocol": "SASL_PLAINTEXT",
        "kafka.sasl.mechanism": "PLAIN",
        "kafka.sasl.jaas.config": f'{login} username="{READER}" password="{PASSWORD}";',
        "subscribe": TOPIC,
        "startingOffsets": json.dumps({TOPIC: dict.fromkeys(ends, 0)}),
        "endingOffsets": json.dumps({TOPIC: ends}),
    }
    read = spark.read.format("kafka").options(**options).load()
    row = f.from_json(read["value"].cast("string"), spark_ddl_of_spec(SCHEMA))
    read.select(row.alias("row")).select("row.*").writeTo(table).using("iceberg").createOrReplace()


def _verify(lab: Lab, name: tuple[str, str], messages: int) -> None:
    """Every message is there once: their number, and the sum of the ids."""
    ids = load_catalog(lab.settings).load_table(name).scan(selected_fields=("id",)).to_arrow()["id"].to_numpy()
    if (len(ids), int(ids.sum())) != (messages, messages * (messages - 1) // 2):
        raise RuntimeError(f"{'.'.join(name)} has {len(ids):,} rows whose ids sum to {ids.sum():,}")
