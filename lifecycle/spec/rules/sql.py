"""SQL of transforms: one query over upstream nodes, with declared parameters."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.spec.errors import Problem, did_you_mean, shorten
from lifecycle.spec.partitions import TimePartitions
from lifecycle.spec.pipeline import PipelineSpec, sql_texts
from lifecycle.spec.sql import SqlFacts, sql_facts
from lifecycle.spec.steps import AnyTransform

MAX_TOTAL = 500_000


def rules(spec: PipelineSpec) -> Iterator[Problem]:
    """What each SQL text reads must be exactly what the edges say: lineage and branches rest on it."""
    if sum(len(text) for node in spec.nodes for text in sql_texts(node)) > MAX_TOTAL:
        yield Problem(None, "nodes", f"the SQL is longer than {MAX_TOTAL} characters in total", "split the pipeline")
        return
    for node in spec.transforms:
        for text in sql_texts(node):
            facts = sql_facts(text)
            for message, remedy in facts.problems:
                yield Problem(node.id, "sql", message, remedy)
            yield from _tables(spec, node, facts)
            yield from parameters(spec, node.id, "sql", facts)


def _tables(spec: PipelineSpec, node: AnyTransform, facts: SqlFacts) -> Iterator[Problem]:
    upstream = [name for name in spec.upstream(node.id) if name != node.id]
    wrong = [table for table in facts.tables if table not in upstream]
    for table in wrong:
        yield Problem(
            node.id,
            "sql",
            f"reads '{shorten(table)}', which is not an upstream node",
            _way(spec, node.id, table),
        )
    if not wrong and not facts.problems:
        for name in upstream:
            if name not in facts.tables:
                message = f"an edge leads here from '{name}', but the SQL does not read it"
                yield Problem(node.id, "sql", message, "read it, or remove the edge")


def _way(spec: PipelineSpec, node_id: str, table: str) -> str:
    kinds = {node.id: node.type for node in spec.nodes}
    if table == node_id:
        return "a node cannot read itself: name the node before it"
    if kinds.get(table) in {"source", "transform"}:
        return f"add the edge {{from: {table}, to: {node_id}}}"
    if kinds.get(table) == "sink":
        return "read the node before that sink, or its table with an iceberg source"
    hint = did_you_mean(table, spec.upstream(node_id))
    return hint or "add a source node for it, with an edge to this node"


def parameters(spec: PipelineSpec, node_id: str, field: str, facts: SqlFacts) -> Iterator[Problem]:
    """Each `:name` must be declared, or be given by the partitions."""
    given: tuple[str, ...] = ()
    if spec.partitions is not None:
        windows = isinstance(spec.partitions, TimePartitions)
        given = ("partition_start", "partition_end", "partition_key") if windows else ("partition_key",)
    for name in facts.parameters:
        if name in spec.parameters or name in given:
            continue
        if name in {"partition_start", "partition_end", "partition_key"}:
            message = f"':{name}' is known only in a pipeline with {'time ' * bool(given)}partitions"
            yield Problem(node_id, field, message, "declare partitions, or remove it")
        else:
            hint = did_you_mean(name, (*spec.parameters, *given))
            yield Problem(
                node_id,
                field,
                f"the parameter ':{name}' is not declared",
                hint or "declare it under parameters",
            )
