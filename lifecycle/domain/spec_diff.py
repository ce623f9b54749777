"""What changed between two specs, for people (lines) and for machines (fields)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any, Literal

from lifecycle.domain.model import Frozen
from lifecycle.spec import PipelineSpec, canonical_json


class FieldDiff(Frozen):
    """A field of the pipeline or of a node; None where it is not set.

    `lines` is a unified diff of text with several lines.
    """

    field: str
    before: Any = None
    after: Any = None
    lines: tuple[str, ...] = ()


class NodeDiff(Frozen):
    """A node that came, went or changed."""

    node: str
    change: Literal["added", "removed", "changed"]
    fields: tuple[FieldDiff, ...] = ()


class SpecDiff(Frozen):
    """All changes; empty exactly when the digests are equal."""

    pipeline: tuple[FieldDiff, ...] = ()
    nodes: tuple[NodeDiff, ...] = ()
    edges_added: tuple[str, ...] = ()
    edges_removed: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.pipeline or self.nodes or self.edges_added or self.edges_removed)


Texts = Mapping[str, str]


def diff_specs(before: PipelineSpec | None, after: PipelineSpec, code: tuple[Texts, Texts] = ({}, {})) -> SpecDiff:
    """Compares the canonical forms, so what means the same does not differ. Against None, all of it is new.

    `code` has the files of both versions' local code, by path: of the pipeline's fields, those that differ come last.
    """
    old: dict[str, Any] = json.loads(canonical_json(before)) if before is not None else {"nodes": []}
    new = json.loads(canonical_json(after))
    old_nodes = {node["id"]: node for node in old.pop("nodes")}
    new_nodes = {node["id"]: node for node in new.pop("nodes")}
    old_edges, new_edges = _edges(old.pop("edges", [])), _edges(new.pop("edges", []))
    nodes: list[NodeDiff] = []
    for name in sorted(old_nodes.keys() | new_nodes.keys()):
        if name not in new_nodes:
            nodes.append(NodeDiff(node=name, change="removed", fields=_fields(old_nodes[name], {})))
        elif name not in old_nodes:
            nodes.append(NodeDiff(node=name, change="added", fields=_fields({}, new_nodes[name])))
        elif fields := _fields(old_nodes[name], new_nodes[name]):
            nodes.append(NodeDiff(node=name, change="changed", fields=fields))
    added = tuple(edge for edge in new_edges if edge not in old_edges)
    removed = tuple(edge for edge in old_edges if edge not in new_edges)
    fields = (*_fields(old, new), *_fields(dict(code[0]), dict(code[1])))
    if not (nodes or added or removed or fields) and old_edges != new_edges:
        # The same edges in another order: the order of a node's inputs counts.
        fields = (FieldDiff(field="edges", before=old_edges, after=new_edges),)
    return SpecDiff(pipeline=fields, nodes=tuple(nodes), edges_added=added, edges_removed=removed)


def _edges(edges: list[dict[str, str]]) -> list[str]:
    return [f"{edge['from']} → {edge['to']}" for edge in edges]


def _fields(before: dict[str, Any], after: dict[str, Any]) -> tuple[FieldDiff, ...]:
    names = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    pairs = [(name, before.get(name), after.get(name)) for name in names]
    return tuple(FieldDiff(field=name, before=old, after=new, lines=_lines(old, new)) for name, old, new in pairs)


def _lines(before: object, after: object) -> tuple[str, ...]:
    old, new = (one if isinstance(one, str) else "" for one in (before, after))
    if "\n" not in old + new:
        return ()
    return tuple(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=3))[2:]
