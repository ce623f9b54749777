"""Names, edges, cycles, and nodes that nothing comes of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lifecycle.spec.errors import Problem, did_you_mean
from lifecycle.spec.pipeline import AnyNode, PipelineSpec, reach

# Seen to be read as something else where a table name belongs, by Spark 4.1 or by the parser; and their like.
RESERVED_WORDS = frozenset(
    """all alter and any as between create cross describe distinct drop else except fetch for from glob grant
    having ilike inner insert intersect into join lateral like minus not notnull on or outer partitioned_by
    qualify regexp returning revoke rlike rollback select serdeproperties stream table tablesample then
    uncache union using values when where with xor
    anti by case end exists false full group identifier in is left limit natural null offset order right semi
    set true""".split()  # noqa: SIM905
)


def twins(spec: PipelineSpec) -> Iterator[Problem]:
    """Nodes of one name."""
    for name, count in Counter(node.id for node in spec.nodes).items():
        if count > 1:
            yield Problem(name, "id", f"{count} nodes have this id", "give each node its own id")


def shape(spec: PipelineSpec) -> Iterator[Problem]:
    """Whether the nodes and edges make a pipeline."""
    yield from _names(spec)
    yield from _edges(spec)
    yield from _cycles(spec)
    for node in spec.nodes:
        yield from _inputs(spec, node)
    yield from _unused(spec)


def _names(spec: PipelineSpec) -> Iterator[Problem]:
    for node in spec.nodes:
        if node.id in RESERVED_WORDS:
            remedy = f"rename it, for example '{node.id}_data'"
            yield Problem(node.id, "id", f"'{node.id}' is a reserved word of SQL", remedy)
    for name in spec.parameters:
        if name in {"partition_start", "partition_end", "partition_key"}:
            yield Problem(None, f"parameters.{name}", "partitions already use this name", "rename it")


def _edges(spec: PipelineSpec) -> Iterator[Problem]:
    nodes = {node.id: node for node in spec.nodes}
    seen: set[tuple[str, str]] = set()
    for at, edge in enumerate(spec.edges):
        where = f"edges[{at}]"
        for end, name in (("from", edge.from_), ("to", edge.to)):
            if name not in nodes:
                hint = did_you_mean(name, nodes) or "add the node, or remove the edge"
                yield Problem(None, f"{where}.{end}", f"there is no node '{name}'", hint)
        if edge.from_ == edge.to:
            yield Problem(edge.to, where, "an edge leads from the node to itself", "remove the edge")
        elif edge.from_ in nodes and edge.to in nodes:
            if (edge.from_, edge.to) in seen:
                yield Problem(edge.to, where, f"the edge from '{edge.from_}' appears twice", "remove one of them")
            else:
                yield from _direction(nodes[edge.from_], nodes[edge.to], where)
        seen.add((edge.from_, edge.to))


def _direction(start: AnyNode, end: AnyNode, where: str) -> Iterator[Problem]:
    message = None
    if start.type == "monitor":
        message, remedy = (
            f"an edge leads out of the monitor '{start.id}'",
            "a monitor ends there: remove the edge",
        )
    elif end.type == "source":
        message, remedy = (
            f"an edge leads into a source, from '{start.id}'",
            "a source has no input: remove the edge",
        )
    elif start.type == "sink" and end.type != "monitor":
        message = f"an edge leads from the sink '{start.id}' to a {end.type}"
        remedy = "only monitors follow a sink: start from the node before it, or read its table with a source"
    else:
        return
    yield Problem(end.id, where, message, remedy)


def _cycles(spec: PipelineSpec) -> Iterator[Problem]:
    stuck = {node.id for node in spec.nodes} - set(spec.topological())
    seen: set[str] = set()
    for start in sorted(stuck):
        path: list[str] = []
        node: str | None = start
        # A stuck node waits for another stuck one, so going upstream ends on the path itself.
        while node is not None and node not in seen:
            seen.add(node)
            path.append(node)
            node = next((up for up in spec.upstream(node) if up in stuck and up != path[-1]), None)
        if node in path:
            cycle = [*path[path.index(node) :], node]
            yield Problem(node, "edges", f"the nodes feed each other: {' → '.join(reversed(cycle))}", "remove one edge")


def _inputs(spec: PipelineSpec, node: AnyNode) -> Iterator[Problem]:
    inputs = [up for up in spec.upstream(node.id) if up != node.id]
    listed = ", ".join(inputs)
    if node.type == "source":
        return
    if not inputs:
        if node.type != "transform" or node.step != "custom":
            remedy = f"add an edge {{from: …, to: {node.id}}}"
            yield Problem(node.id, "edges", f"the {node.type} has no input", remedy)
    elif len(inputs) > 1:
        if node.type == "sink":
            yield Problem(node.id, "edges", f"the sink has {len(inputs)} inputs: {listed}", "join them in a transform")
        elif node.type == "monitor":
            remedy = "write one monitor for each"
            yield Problem(node.id, "edges", f"the monitor is attached to {len(inputs)} nodes: {listed}", remedy)
        elif node.type == "transform" and node.one_input:
            message = f"a {node.step} transform has one input, this has {len(inputs)}: {listed}"
            yield Problem(node.id, "edges", message, "join them in a spark transform before it")


def _unused(spec: PipelineSpec) -> Iterator[Problem]:
    # A custom step may be an end in itself: it can notify or export.
    custom = [node.id for node in spec.transforms if node.step == "custom"]
    if not spec.sinks and not custom:
        yield Problem(None, "nodes", "the pipeline has no sink", "add a sink: a node of type sink with a table")
    arrows = {node.id: spec.upstream(node.id) for node in spec.nodes}
    used = reach(arrows, [*(node.id for node in (*spec.sinks, *spec.monitors)), *custom])
    for node in spec.nodes:
        if node.id not in used:
            message = f"nothing uses this {node.type}: no sink or monitor follows"
            yield Problem(node.id, "edges", message, "connect it to one, or remove it")
