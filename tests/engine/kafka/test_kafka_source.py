"""Sources of kind kafka on a real broker."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from lab import Lab, sink, sql
from topics import kafka, order, orders

from drls_dagster.cli.main import run
from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.positions import POSITIONS
from tests.kafka_server import Kafka


def test_d4_each_run_continues_where_the_last_one_stopped_and_no_message_is_lost_or_read_twice(
    lab: Lab, broker: Kafka, topic: str
) -> None:
    text = lab.pipeline(kafka("orders", topic), sink("out", lab.named("out"), "append"), flow="orders>out")
    broker.send(topic, *orders(0, 100))
    ran = lab.run(text)
    assert ran.success, ran.failures
    assert ran.tables["out"]["inputs"]["orders"]["rows"] == 100
    assert list(json.loads(lab.summary("out")[POSITIONS]).values()) == ["0=100,1=0"]
    broker.send(topic, *orders(100, 130), partition=1)
    broker.grow(topic, 3)
    broker.send(topic, *orders(130, 135), partition=2)
    ran = lab.run(text)
    assert ran.success, ran.failures
    assert ran.tables["out"]["inputs"]["orders"]["rows"] == 35
    ran = lab.run(text)
    assert ran.success, ran.failures
    assert ran.tables["out"]["inputs"]["orders"]["rows"] == 0
    assert [row[0] for row in sorted(lab.rows("out"))] == list(range(135))
    assert sorted(lab.rows("out"))[5][1:] == ("c5", Decimal("5.25"), datetime(2024, 1, 1, tzinfo=UTC))
    assert list(json.loads(lab.summary("out")[POSITIONS]).values()) == ["0=100,1=30,2=5"]


def test_d2_two_sinks_a_retry_and_a_re_execution_read_the_same_messages_although_the_topic_grew(
    lab: Lab, broker: Kafka, topic: str
) -> None:
    text = lab.pipeline(
        kafka("orders", topic),
        sql("totals", "SELECT customer, sum(price) AS spent FROM orders GROUP BY customer"),
        sink("one", lab.named("one"), "append"),
        sink("two", lab.named("two"), "append"),
        flow="orders>totals>one, orders>two",
    )
    broker.send(topic, *orders(0, 50))
    step = lab.prepare(text)
    step.sink("one")
    broker.send(topic, *orders(50, 70))
    step.sink("two")
    assert len(lab.rows("two")) == 50
    assert sum(row[1] for row in lab.rows("one")) == sum(row[2] for row in lab.rows("two"))
    again = lab.prepare(text, run_key=step.run.run_key)
    assert again.frames.frame("orders", again.run.reads_of("orders")).count() == 50
    assert lab.prepare(text).sink("two")
    assert sorted(row[0] for row in lab.rows("two")) == list(range(70))


def test_d4_messages_that_are_gone_below_the_position_stop_the_run_with_a_remedy_that_works(
    lab: Lab, broker: Kafka, topic: str
) -> None:
    text = lab.pipeline(kafka("orders", topic), sink("out", lab.named("out"), "append"), flow="orders>out")
    broker.send(topic, *orders(0, 10))
    assert lab.run(text).success
    broker.send(topic, *orders(10, 30))
    broker.forget(topic, 0, 20)
    lost = lab.run(text)
    assert "10 message(s) between them are gone; decide with `drls table reset-position" in lost.failure
    assert len(lab.rows("out")) == 10
    command = shlex.split(lost.failure.partition("`drls ")[2].partition("`")[0])
    assert run(command) == 0
    assert lab.run(text).success
    assert sorted(row[0] for row in lab.rows("out")) == [*range(10), *range(20, 30)]


def test_what_no_transaction_committed_is_not_read_and_what_was_is_read_once(
    lab: Lab, broker: Kafka, topic: str
) -> None:
    text = lab.pipeline(kafka("orders", topic), sink("out", lab.named("out"), "append"), flow="orders>out")
    broker.transaction(topic, orders(0, 5), commit=True)
    broker.transaction(topic, orders(5, 9), commit=False)
    broker.send(topic, *orders(9, 10))
    for _ in range(2):
        ran = lab.run(text)
        assert ran.success, ran.failures
    assert sorted(row[0] for row in lab.rows("out")) == [0, 1, 2, 3, 4, 9]


@pytest.mark.parametrize(
    "message",
    ['{"id": 1', '{"id": "one"}', '{"price": "1,5"}', order(1) + order(2), "[1]", "7", "", b"\xff", "{'id': 1}"],
)
def test_a_message_that_does_not_fit_fails_the_run_and_is_named(
    lab: Lab, broker: Kafka, topic: str, message: str | bytes
) -> None:
    broker.send(topic, *orders(0, 3), message, partition=1)
    text = lab.pipeline(
        kafka("orders", topic),
        sql("few", "SELECT * FROM orders WHERE id = 0"),
        sink("out", lab.named("out"), "append"),
        flow="orders>few>out",
    )
    step = lab.prepare(text)
    with pytest.raises(DrlsError) as refused:
        step.sink("out")
    assert f"the message at offset 3 of partition 1 of '{topic}' is not JSON of the source's schema" in str(
        refused.value
    )
    assert "\n" not in str(refused.value)
    assert not list((lab.settings.home / "staging").glob(f"{step.run.run_key}/*/*"))
