"""Messages that a source sets aside go to a table: nobody would miss them anywhere else."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.spec.dead_letters import DeadLettersTransform
from lifecycle.spec.errors import Problem
from lifecycle.spec.pipeline import PipelineSpec
from lifecycle.spec.sources import KafkaSource, SourceNode

_REMEDY = "add {id: bad, type: transform, step: deadLetters} below it, and a sink of mode append below that"


def rules(spec: PipelineSpec) -> Iterator[Problem]:
    for node in spec.sources:
        if isinstance(node.source, KafkaSource) and node.source.sets_aside and not _is_kept(spec, node.id):
            message = "the messages that it sets aside would be lost: no table keeps them"
            yield Problem(node.id, "source.bad_messages", message, _REMEDY)
    for node in spec.transforms:
        if not isinstance(node, DeadLettersTransform):
            continue
        for name in spec.upstream(node.id):
            above = spec.node(name) if name in {one.id for one in spec.nodes} else None
            if above is None:
                continue
            source = above.source if isinstance(above, SourceNode) else None
            if not isinstance(source, KafkaSource):
                message = f"'{name}' sets no messages aside: it is no Kafka source"
                yield Problem(node.id, "edges", message, "lead an edge from a Kafka source to it")
            elif not source.sets_aside:
                message = f"'{name}' sets no messages aside: a bad one fails the run"
                yield Problem(node.id, "edges", message, f"write bad_messages: set_aside in '{name}'")


def _is_kept(spec: PipelineSpec, source: str) -> bool:
    """Whether a sink that keeps what earlier runs wrote gets its dead letters."""
    letters = {one for one in spec.downstream(source) if isinstance(spec.node(one), DeadLettersTransform)}
    keeping = [sink for sink in spec.sinks if sink.mode in ("append", "merge")]
    return any(letters & set(spec.ancestors(sink.id)) for sink in keeping)
