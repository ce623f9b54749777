"""The `deadLetters` step: the messages that a source has set aside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from lifecycle.spec.base import NodeId
from lifecycle.spec.kind import Step

# Named as Kafka's clients and Spark name them.
COLUMNS: Mapping[str, str] = {
    "topic": "string",
    "partition": "int",
    "offset": "long",
    "timestamp": "timestamp",
    "key": "binary",
    "value": "binary",
    "headers": "array<struct<key:string,value:binary>>",
    "reason": "string",
}


class DeadLettersTransform(Step):
    """The messages that the Kafka source above it has set aside (`bad_messages: set_aside`), as they came.

    A row has the message's `topic`, `partition`, `offset`, `timestamp`, `key`, `value` and `headers`, and the `reason`.
    """

    one_input = True
    id: NodeId
    type: Literal["transform"] = "transform"
    step: Literal["deadLetters"] = "deadLetters"

    @property
    def label(self) -> str:
        return "Dead letters"

    @property
    def subject(self) -> str:
        return "messages set aside"

    @property
    def output_schema(self) -> Mapping[str, str]:
        return COLUMNS
