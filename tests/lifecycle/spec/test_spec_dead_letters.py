"""Messages that a Kafka source sets aside have a table that keeps them, or the pipeline is refused."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.spec import KafkaSource, SpecError, check_definition, digest
from lifecycle.spec.dead_letters import COLUMNS
from lifecycle.spec.tables import known_columns

KAFKA = {"kind": "kafka", "connection": "bus", "topic": "clicks", "schema": {"a": "string"}}
ASIDE = {**KAFKA, "bad_messages": "set_aside"}
STEP = {"id": "bad", "type": "transform", "step": "deadLetters"}


def kept(mode: str = "append", **more: Any) -> dict[str, Any]:
    return {"id": "aside", "type": "sink", "table": "a.aside", "mode": mode, **more}


def definition(source: dict[str, Any], *more: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A topic into a table, and further nodes, each below another."""
    return {
        "format_version": 1,
        "name": "letters",
        "nodes": [
            {"id": "clicks", "type": "source", "source": source},
            {"id": "out", "type": "sink", "table": "a.out", "mode": "append"},
            *(node for _, node in more),
        ],
        "edges": [{"from": "clicks", "to": "out"}, *({"from": above, "to": node["id"]} for above, node in more)],
    }


def test_what_is_set_aside_goes_to_a_table_by_a_step_and_a_sink_like_any_other() -> None:
    spec = check_definition(definition(ASIDE, ("clicks", STEP), ("bad", kept())))
    assert known_columns(spec)["aside"] == tuple(COLUMNS)
    check_definition(definition(ASIDE, ("clicks", STEP), ("bad", kept("merge", keys=["topic", "partition", "offset"]))))


@pytest.mark.parametrize(
    "more", [(), (("clicks", STEP), ("bad", kept("overwrite")))], ids=["no step", "each run replaces the last one's"]
)
def test_messages_that_no_table_keeps_are_not_set_aside(more: tuple[Any, ...]) -> None:
    with pytest.raises(SpecError, match="the messages that it sets aside would be lost: no table keeps them"):
        check_definition(definition(ASIDE, *more))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (KAFKA, "'clicks' sets no messages aside: a bad one fails the run"),
        ({"kind": "rate"}, "'clicks' sets no messages aside: it is no Kafka source"),
    ],
)
def test_a_step_below_a_source_that_sets_nothing_aside_is_refused(source: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        check_definition(definition(source, ("clicks", STEP), ("bad", kept())))


def test_every_message_is_binary() -> None:
    source = {"kind": "kafka", "connection": "bus", "topic": "t", "format": "binary", "bad_messages": "set_aside"}
    with pytest.raises(SpecError, match="every message is binary: none is set aside"):
        check_definition(definition(source, ("clicks", STEP), ("bad", kept())))


def test_l2_fail_is_what_a_version_without_the_field_says_and_has_its_digest() -> None:
    plain, said = (check_definition(definition({**KAFKA, **more})) for more in ({}, {"bad_messages": "fail"}))
    assert digest(plain) == digest(said)
    assert isinstance(said.sources[0].source, KafkaSource)
    assert not said.sources[0].source.sets_aside
