"""Messages in Avro on a real broker: with schemas of a registry, and with one schema in a file of the pipeline."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from lab import Lab, Node, sink
from topics import CANARY, found_below, kafka

from drls_dagster.errors import DrlsError
from tests.kafka_server import Kafka
from tests.schema_registry import SchemaRegistry, framed, record


def schema(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "shop.Order", "fields": list(fields)}


ID, CUSTOMER = {"name": "id", "type": "long"}, {"name": "customer", "type": ["null", "string"]}
PRICE = {"name": "price", "type": "double", "default": 0.5}
FIRST, SECOND = schema(ID, CUSTOMER), schema(PRICE, ID, CUSTOMER)


def some(text: str) -> bytes:
    """A value of a union whose second branch it is."""
    return record(1, text)


def orders(topic: str, *, aside: bool = True, **more: Any) -> list[Node]:
    more |= {"bad_messages": "set_aside"} if aside else {}
    nodes = [kafka("orders", topic, format="avro", metadata={"offset": "at"}, **more)]
    return [*nodes, {"id": "bad", "type": "transform", "step": "deadLetters"}] if aside else nodes


def text_of(lab: Lab, nodes: list[Node]) -> str:
    flow, more = "orders>out", []
    if len(nodes) > 1:
        flow, more = "orders>out, orders>bad>aside", [sink("aside", lab.named("aside"), "append")]
    return lab.pipeline(*nodes, sink("out", lab.named("out"), "append"), *more, flow=flow)


def named(subject: str, version: int) -> dict[str, Any]:
    return {"registry": {"connection": "schemas", "subject": subject, "version": version}}


def test_d1_messages_of_several_schemas_become_rows_of_the_version_that_the_pipeline_names(
    lab: Lab, broker: Kafka, topic: str, registry: SchemaRegistry
) -> None:
    first, second = registry.register(topic, FIRST), registry.register(topic, SECOND)
    other = registry.register(topic, "string")
    text = text_of(lab, orders(topic, **named(topic, 2)))
    bad = {
        b"{}": "not in the wire format of a schema registry",
        b"\0\0\0": "not in the wire format of a schema registry",
        framed(999, record(1)): "of the schema 999, which is not in the registry",
        framed(other, record("x")): f"of the schema {other}, which is no record, and each row is one",
        framed(second, record(1.5, 1)[:-1]): "Avro, but not of the source's schema",
        framed(first, record(9) + b"\x7f"): "Avro, but not of the source's schema",
    }
    broker.send(topic, framed(first, record(1) + some("ada")), framed(second, record(2.5, 2) + record(0)), None, *bad)
    step = lab.prepare(text)
    step.sink("out")
    step.sink("aside")
    assert {row[3]: row[:3] for row in lab.rows("out", "price", "id", "customer", "at")} == {
        0: (0.5, 1, "ada"),
        1: (2.5, 2, None),
        2: (None, None, None),
    }
    assert {row[5]: row[7] for row in lab.rows("aside")} == bad
    assert found_below(lab.settings.home, CANARY) == [], "the registry's password is where it was set, and nowhere else"
    broker.send(topic, framed(second, record(3.5, 3) + some("bob")))
    moved = lab.prepare(text)
    moved.run.reads_of("orders")  # pins it
    registry.says[f"/subjects/{topic}/versions/2"] = (200, {}, json.dumps({"schema": json.dumps(FIRST)}).encode())
    with pytest.raises(DrlsError, match="is another schema than the one that the run has pinned; start a new run"):
        moved.sink("out")


def test_l2_plain_avro_is_read_by_the_schema_that_lies_with_the_pipeline(lab: Lab, broker: Kafka, topic: str) -> None:
    cost = {"name": "cost", "type": {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}}
    lab.file("order.avsc", json.dumps(schema(ID, CUSTOMER, cost), indent=2))
    text = text_of(lab, orders(topic, aside=False, schema_file="order.avsc"))
    spec = lab.spec(text)
    assert spec.lock is not None
    assert list(spec.lock.files) == ["order.avsc"]
    broker.send(topic, record(1) + some("ada") + record(b"\x04\xd2"))
    lab.prepare(text, spec=spec).sink("out")
    assert lab.rows("out") == [(1, "ada", Decimal("12.34"), 0)]
    broker.send(topic, b"\x02\x02")
    with pytest.raises(DrlsError) as refused:
        lab.prepare(text, spec=spec).sink("out")
    assert f"the message at offset 1 of partition 0 of '{topic}' is not Avro of the source's schema" in str(
        refused.value
    )
    lab.file("order.avsc", json.dumps(FIRST))
    with pytest.raises(DrlsError, match="save the pipeline again"):
        lab.prepare(text, spec=spec).sink("out")
