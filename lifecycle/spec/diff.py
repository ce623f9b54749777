"""What is different between two definitions: nodes, edges, fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from lifecycle.spec.pipeline import PipelineSpec


class FieldChange(BaseModel):
    """A field that changed, of a node or (None) of the pipeline. None: it is not there on that side."""

    model_config = ConfigDict(frozen=True)

    node: str | None
    field: str
    before: Any
    after: Any


class SpecDiff(BaseModel):
    """From one definition to another. A node that kept its id is changed; one that lost it is removed and added."""

    model_config = ConfigDict(frozen=True)

    nodes_added: tuple[str, ...]
    nodes_removed: tuple[str, ...]
    edges_added: tuple[tuple[str, str], ...]
    edges_removed: tuple[tuple[str, str], ...]
    fields: tuple[FieldChange, ...]

    @property
    def is_empty(self) -> bool:
        """Whether both mean the same; the order of nodes and edges does not count."""
        return not any((self.nodes_added, self.nodes_removed, self.edges_added, self.edges_removed, self.fields))


def diff_specs(before: PipelineSpec, after: PipelineSpec) -> SpecDiff:
    """What to do to `before` to get `after`."""
    ours, theirs = _plain(before), _plain(after)
    old = {node["id"]: node for node in ours.pop("nodes")}
    new = {node["id"]: node for node in theirs.pop("nodes")}
    old_edges = {(edge["from"], edge["to"]) for edge in ours.pop("edges", [])}
    new_edges = {(edge["from"], edge["to"]) for edge in theirs.pop("edges", [])}
    changes = list(_changes(None, "", ours, theirs))
    for node_id in sorted(old.keys() & new.keys()):
        changes.extend(_changes(node_id, "", old[node_id], new[node_id]))
    return SpecDiff(
        nodes_added=tuple(sorted(new.keys() - old.keys())),
        nodes_removed=tuple(sorted(old.keys() - new.keys())),
        edges_added=tuple(sorted(new_edges - old_edges)),
        edges_removed=tuple(sorted(old_edges - new_edges)),
        fields=tuple(changes),
    )


def _plain(spec: PipelineSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", by_alias=True)


def _changes(node: str | None, path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    """Field by field, into nested ones; lists are compared as a whole."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        ours, theirs = cast("dict[str, Any]", before), cast("dict[str, Any]", after)
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            inner = f"{path}.{name}" if path else name
            yield from _changes(node, inner, ours.get(name), theirs.get(name))
        return
    yield FieldChange(node=node, field=path, before=before, after=after)
