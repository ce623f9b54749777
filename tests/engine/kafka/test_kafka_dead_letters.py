"""Messages that do not fit and are set aside: in a table, once, with all that Kafka keeps of them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from lab import Lab, Node, monitor, sink
from topics import kafka, order, orders

from drls_dagster.lakehouse.positions import POSITIONS
from drls_dagster.steps.sink import NotPublished
from tests.kafka_server import Kafka

# Each with the reason for which it is set aside.
BAD: dict[str | bytes, str] = {
    '{"id": 1': "not JSON",
    '{"id": "one"}': "JSON, but not of the source's schema",
    '{"price": "1,5"}': "JSON, but not of the source's schema",
    order(1) + order(2): "not JSON",
    order(1) + "," + order(2): "not one value of JSON",
    "[1]": "JSON, but not of the source's schema",
    "7": "JSON, but not of the source's schema",
    "": "not one value of JSON",
    b"\xff": "not UTF-8",
}


def letters(node: str) -> Node:
    return {"id": node, "type": "transform", "step": "deadLetters"}


def pipeline(lab: Lab, topic: str, *more: Node, flow: str = "") -> str:
    return lab.pipeline(
        kafka("orders", topic, bad_messages="set_aside"),
        letters("bad"),
        sink("out", lab.named("out"), "append"),
        sink("aside", lab.named("aside"), "append"),
        *more,
        flow=f"orders>out, orders>bad>aside{flow}",
    )


def test_a_message_that_does_not_fit_is_set_aside_once_with_its_reason_and_the_others_are_published(
    lab: Lab, broker: Kafka, topic: str
) -> None:
    text = pipeline(lab, topic)
    broker.send(topic, *orders(0, 40), None)
    broker.send(topic, *BAD, partition=1, key=b"k\x00", headers=[("from", b"\x01")])
    ran = lab.run(text)
    assert ran.success, ran.failures
    assert sorted(row[0] for row in lab.rows("out") if row[0] is not None) == list(range(40))
    assert len(lab.rows("out")) == 41, "a message without a value is a row without values"
    kept = lab.rows("aside")
    given = [one if isinstance(one, bytes) else one.encode() for one in BAD]
    columns = [field.name for field in lab.table("aside").schema().fields]
    assert columns == ["topic", "partition", "offset", "timestamp", "key", "value", "headers", "reason"]
    assert {(row[2], row[5]): row[7] for row in kept} == dict(zip(enumerate(given), BAD.values(), strict=True))
    assert {(row[0], row[1], row[4]) for row in kept} == {(topic, 1, b"k\x00")}
    assert kept[0][6] == [{"key": "from", "value": b"\x01"}]
    assert all(abs(datetime.now(UTC) - row[3]) < timedelta(hours=1) for row in kept)
    for table in ("out", "aside"):
        assert ran.tables[table]["inputs"]["orders"]["rows"] == 41 + len(BAD)
        assert ran.tables[table]["inputs"]["orders"]["dead_letters"] == len(BAD)
        assert list(json.loads(lab.summary(table)[POSITIONS]).values()) == [f"0=41,1={len(BAD)}"]
    broker.send(topic, order(40), "no")
    ran = lab.run(text)
    assert ran.success, ran.failures
    assert ran.tables["aside"]["inputs"]["orders"]["dead_letters"] == 1
    assert len(lab.rows("out")) == 42
    assert len(lab.rows("aside")) == len(BAD) + 1


def test_d2_d4_a_try_that_published_one_of_both_tables_is_completed_and_doubles_nothing(
    lab: Lab, broker: Kafka, topic: str
) -> None:
    few = monitor("few", {"kind": "row_count", "max": 3})
    text = pipeline(lab, topic, few, flow=", aside>few")
    broker.send(topic, *orders(0, 10), "bad 0", "bad 1")
    step = lab.prepare(text)
    step.sink("out")
    broker.send(topic, order(10), "bad 2")
    again = lab.prepare(text, run_key=step.run.run_key)
    assert again.sink("out").repeated
    again.sink("aside")
    assert sorted(row[5] for row in lab.rows("aside")) == [b"bad 0", b"bad 1"], "what the run has pinned"
    lab.prepare(text).sink("out")  # publishes the rows, and ends before their dead letters
    broker.send(topic, order(11))
    later = lab.prepare(text)
    later.sink("out")
    later.sink("aside")
    assert Counter(row[0] for row in lab.rows("out")) == dict.fromkeys(range(12), 1)
    assert sorted(row[5] for row in lab.rows("aside")) == [b"bad 0", b"bad 1", b"bad 2"]
    broker.send(topic, "bad 3")
    with pytest.raises(NotPublished, match=r"4 row\(s\), expected at most 3"):
        lab.prepare(text).sink("aside")
    assert len(lab.rows("aside")) == 3, "a check on the table holds back what it does not let through"


def test_text_that_is_no_text_is_set_aside(lab: Lab, broker: Kafka, topic: str) -> None:
    text = lab.pipeline(
        kafka("orders", topic, format="text", bad_messages="set_aside", metadata={"offset": "at"}),
        letters("bad"),
        sink("out", lab.named("out"), "append"),
        sink("aside", lab.named("aside"), "append"),
        flow="orders>out, orders>bad>aside",
    )
    broker.send(topic, "ä", b"\xff", None)
    step = lab.prepare(text)
    step.sink("out")
    step.sink("aside")
    assert sorted(lab.rows("out"), key=str) == sorted([("ä", 0), (None, 2)], key=str)
    assert [(row[2], row[5], row[7]) for row in lab.rows("aside")] == [(1, b"\xff", "not UTF-8")]
