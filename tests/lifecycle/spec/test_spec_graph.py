"""Nodes and edges make a pipeline: no cycle, nothing missing, nothing unused."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.spec import PipelineSpec, Problem, parse_pipeline

Find = Callable[..., tuple[Problem, ...]]
Data = dict[str, Any]


def edges(*pairs: str) -> Callable[[Data], object]:
    def change(data: Data) -> None:
        data["edges"] = [dict(zip(("from", "to"), pair.split(">"), strict=True)) for pair in pairs]

    return change


def more(*nodes: Data) -> Callable[[Data], object]:
    return lambda data: data["nodes"].extend(nodes)


GOOD = ("orders>daily", "daily>daily_orders", "daily_orders>quality")
SPARK = {"id": "extra", "type": "transform", "step": "spark", "sql": "SELECT * FROM daily"}
RAY = {
    "id": "ray",
    "type": "transform",
    "step": "rayProcess",
    "python": "def process(batch): return batch",
    "output_schema": {"a": "long"},
}
SINK = {"id": "second", "type": "sink", "table": "sales.second", "mode": "overwrite"}
SOURCE = {"id": "others", "type": "source", "source": {"kind": "iceberg", "table": "sales.others"}}

WRONG: list[tuple[str, list[Callable[[Data], object]], str | None, str | None, str]] = [
    (
        "self edge",
        [edges(*GOOD, "daily>daily")],
        "daily",
        "edges[3]",
        "leads from the node to itself; remove",
    ),
    (
        "unknown start",
        [edges("order>daily", *GOOD)],
        None,
        "edges[0].from",
        "no node 'order'; did you mean 'orders'?",
    ),
    (
        "unknown end",
        [edges(*GOOD, "daily>zzz")],
        None,
        "edges[3].to",
        "no node 'zzz'; add the node, or remove",
    ),
    ("edge twice", [edges(*GOOD, "orders>daily")], "daily", "edges[3]", "from 'orders' appears twice"),
    ("into a source", [edges(*GOOD, "daily>orders")], "orders", "edges[3]", "into a source, from 'daily'"),
    (
        "out of a monitor",
        [edges(*GOOD, "quality>daily")],
        "daily",
        "edges[3]",
        "out of the monitor 'quality'",
    ),
    (
        "sink to transform",
        [edges(*GOOD, "daily_orders>daily")],
        "daily",
        "edges[3]",
        "only monitors follow a sink",
    ),
    (
        "sink to sink",
        [more(SINK), edges(*GOOD, "daily_orders>second")],
        "second",
        "edges[3]",
        "only monitors follow",
    ),
    (
        "a cycle",
        [more(SPARK), edges(*GOOD, "daily>extra", "extra>daily")],
        "daily",
        "edges",
        "daily → extra → daily",
    ),
    (
        "sink without input",
        [more(SINK)],
        "second",
        "edges",
        "the sink has no input; add an edge {from: …, to: second}",
    ),
    (
        "sink with two inputs",
        [edges(*GOOD, "orders>daily_orders")],
        "daily_orders",
        "edges",
        "2 inputs: daily, orders",
    ),
    ("transform without input", [edges(*GOOD[1:])], "daily", "edges", "the transform has no input"),
    ("monitor without a node", [edges(*GOOD[:2])], "quality", "edges", "the monitor has no input"),
    (
        "monitor of two nodes",
        [edges(*GOOD, "daily>quality")],
        "quality",
        "edges",
        "write one monitor for each",
    ),
    (
        "ray step with two inputs",
        [more(RAY, SINK), edges(*GOOD, "daily>ray", "orders>ray", "ray>second")],
        "ray",
        "edges",
        "this has 2: daily, orders; join them",
    ),
    ("unused source", [more(SOURCE)], "others", "edges", "nothing uses this source"),
    (
        "unused transform",
        [more(SPARK), edges(*GOOD, "daily>extra")],
        "extra",
        "edges",
        "nothing uses this transform",
    ),
    (
        "no sink",
        [lambda d: d.update(nodes=d["nodes"][:2]), edges(GOOD[0])],
        None,
        "nodes",
        "the pipeline has no sink",
    ),
    ("one id twice", [more({**SPARK, "id": "daily"})], "daily", "id", "2 nodes have this id"),
]


@pytest.mark.parametrize(("changes", "node", "field", "part"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_a_graph_that_is_no_pipeline_is_refused(
    problems_of: Find, changes: list[Callable[[Data], object]], node: str | None, field: str | None, part: str
) -> None:
    problems = problems_of(*changes)
    assert [p for p in problems if (p.node, p.field) == (node, field) and part in str(p)], [str(p) for p in problems]


def test_two_cycles_are_both_reported(problems_of: Find) -> None:
    nodes = [{**SPARK, "id": name, "sql": f"SELECT * FROM {other}"} for name, other in ("ab", "ba", "cd", "dc")]
    found = problems_of(more(*nodes), edges(*GOOD, "a>b", "b>a", "c>d", "d>c"))
    assert sum("feed each other" in p.message for p in found) == 2


def test_a_custom_step_may_be_the_end_and_the_beginning(problems_of: Find) -> None:
    custom = {"id": "notify", "type": "transform", "step": "custom", "command": ["true"]}
    assert problems_of(more(custom)) == ()
    assert problems_of(lambda d: d.update(nodes=[custom]), edges()) == ()


def test_a_monitor_may_watch_a_source_or_a_transform(problems_of: Find) -> None:
    monitors = [{"id": f"m{i}", "type": "monitor", "checks": [{"kind": "row_count", "min": 1}]} for i in range(2)]
    assert problems_of(more(*monitors), edges(*GOOD, "orders>m0", "daily>m1")) == ()


def test_the_order_of_nodes_depends_on_names_not_on_the_file(spec_of: Callable[..., PipelineSpec]) -> None:
    straight = spec_of()
    turned = spec_of(lambda d: d["nodes"].reverse(), lambda d: d["edges"].reverse())
    assert straight.topological() == turned.topological() == ("orders", "daily", "daily_orders", "quality")


def test_two_thousand_nodes_are_handled_quickly() -> None:
    nodes = ["{id: n0, type: source, source: {kind: rate}}"]
    nodes += [f"{{id: n{i}, type: transform, step: spark, sql: select * from n{i - 1}}}" for i in range(1, 1999)]
    nodes += ["{id: last, type: sink, table: a.b, mode: append}"]
    names = [*(f"n{i}" for i in range(1999)), "last"]
    pairs = [f"{{from: {a}, to: {b}}}" for a, b in itertools.pairwise(names)]
    lines = [
        "format_version: 1",
        "name: long",
        "nodes:",
        *(f"- {n}" for n in nodes),
        "edges:",
        *(f"- {p}" for p in pairs),
    ]
    started = time.process_time()
    spec = parse_pipeline("\n".join(lines))
    assert len(spec.ancestors("last")) == 1999
    assert time.process_time() - started < 8
