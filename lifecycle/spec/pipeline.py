"""The pipeline: nodes, edges, when it runs and with what."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from lifecycle.spec.base import CodePath, Frozen, NodeId, ScalarText, Seconds, Whole
from lifecycle.spec.checks import MonitorNode, SqlCheck
from lifecycle.spec.clock import Schedule
from lifecycle.spec.errors import FieldError, shorten
from lifecycle.spec.normal import canonical_bytes, normal_form
from lifecycle.spec.parameters import Parameter
from lifecycle.spec.partitions import AnyPartitions
from lifecycle.spec.sinks import SinkNode
from lifecycle.spec.sources import JdbcSource, SourceNode
from lifecycle.spec.steps import AnyTransform, CustomTransform, DbtTransform

AnyNode = Annotated[SourceNode | AnyTransform | SinkNode | MonitorNode, Field(discriminator="type")]

MAX_NODES = 2000
CodeDigest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
_OWNER = re.compile(r"^(team:[A-Za-z0-9_.-]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)$")


class Edge(Frozen):
    """Data flows from one node to another."""

    from_: NodeId = Field(validation_alias="from", serialization_alias="from")
    to: NodeId


class Retries(Frozen):
    """How often a failed run is tried again; `delay` is seconds before the first retry."""

    attempts: Annotated[Whole, Field(ge=0, le=100)] = 0
    delay: Seconds = 0.0
    backoff: Literal["constant", "exponential"] = "constant"


class RunResources(Frozen):
    """The engine that a run asks for: Spark executors, cores and heap of each."""

    executors: Annotated[Whole, Field(ge=1, le=10_000)] = 1
    cores: Annotated[Whole, Field(ge=1, le=1024)] = 2
    memory: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}[mg]$")] = "2g"
    retries: Retries | None = None


class Lock(Frozen):
    """What the names in a spec stood for when it was saved (L2).

    `code` has per `module:function` the digest of its top-level package, or distribution==version; `dbt` per
    project the digest of its tree; `images` per image its digest. `files` are those of local code, by path, each with
    the digest of its content, which is kept with the version; `modules` says per node which top-level modules of them
    its Python reaches; `unresolved` are imports that were found nowhere, "*" for those whose names are worked out.
    """

    code: dict[str, str] = Field(default_factory=dict)
    dbt: dict[str, str] = Field(default_factory=dict)
    images: dict[str, str] = Field(default_factory=dict)
    files: dict[CodePath, CodeDigest] = Field(default_factory=dict)
    modules: dict[NodeId, tuple[str, ...]] = Field(default_factory=dict)
    unresolved: tuple[str, ...] = ()

    def files_of(self, nodes: Iterable[str]) -> dict[str, str]:
        """The files that the code of some nodes reaches."""
        tops = {top for node in nodes for top in self.modules.get(node, ())}
        return {path: value for path, value in self.files.items() if path.partition("/")[0].removesuffix(".py") in tops}


class PipelineSpec(Frozen):
    """A pipeline definition. `parse_pipeline` reads and checks one; the constructor checks only the fields."""

    format_version: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
    description: str = ""
    owners: tuple[str, ...] = ()
    tags: dict[str, ScalarText] = Field(default_factory=dict)
    schedule: Schedule | None = None
    automation: Literal["on_new_data"] | None = None
    partitions: AnyPartitions | None = None
    parameters: dict[NodeId, Parameter] = Field(default_factory=dict)
    run: RunResources = RunResources()
    nodes: Annotated[tuple[AnyNode, ...], Field(min_length=1, max_length=MAX_NODES)]
    edges: tuple[Edge, ...] = ()
    lock: Lock | None = None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> PipelineSpec:
        """A copy with some fields changed, not checked again."""
        copied = super().model_copy(update=update, deep=deep)
        # What was worked out for the original, its normal form above all, need not hold for the copy.
        for name in vars(copied).keys() - type(self).model_fields.keys():
            vars(copied).pop(name)
        return copied

    def node(self, node_id: str) -> AnyNode:
        """The node of an id. Raises KeyError naming the pipeline."""
        try:
            return self._by_id[node_id]
        except KeyError:
            raise KeyError(f"pipeline '{self.name}' has no node '{node_id}'") from None

    def upstream(self, node_id: str) -> tuple[str, ...]:
        """The ids of the nodes with an edge to this one, in the order of the edges."""
        return self._upstream.get(node_id, ())

    def downstream(self, node_id: str) -> tuple[str, ...]:
        """The ids of the nodes with an edge from this one, in the order of the edges."""
        return self._downstream.get(node_id, ())

    def ancestors(self, node_id: str) -> tuple[str, ...]:
        """Everything upstream of a node, near and far, in topological order."""
        found = reach(self._upstream, [node_id]) - {node_id}
        return tuple(other for other in self.topological() if other in found)

    def sources_above(self, node_id: str) -> tuple[SourceNode, ...]:
        """The sources upstream of a node, in topological order."""
        nodes = (self.node(other) for other in self.ancestors(node_id))
        return tuple(node for node in nodes if isinstance(node, SourceNode))

    def topological(self) -> tuple[str, ...]:
        """All node ids, each after its upstream nodes, otherwise by name. Nodes on a cycle are left out."""
        return self._order

    @cached_property
    def sources(self) -> tuple[SourceNode, ...]:
        return tuple(node for node in self.nodes if isinstance(node, SourceNode))

    @cached_property
    def transforms(self) -> tuple[AnyTransform, ...]:
        return tuple(node for node in self.nodes if node.type == "transform")

    @cached_property
    def sinks(self) -> tuple[SinkNode, ...]:
        return tuple(node for node in self.nodes if isinstance(node, SinkNode))

    @cached_property
    def monitors(self) -> tuple[MonitorNode, ...]:
        return tuple(node for node in self.nodes if isinstance(node, MonitorNode))

    def monitors_of(self, node_id: str) -> tuple[MonitorNode, ...]:
        """The monitors attached to a node."""
        nodes = (self._by_id.get(other) for other in self.downstream(node_id))
        return tuple(node for node in nodes if isinstance(node, MonitorNode))

    def used_parameters(self, node_id: str) -> tuple[str, ...]:
        """The declared parameters a node sees, sorted: those its SQL or query names; dbt and custom steps see all."""
        node = self.node(node_id)
        if isinstance(node, DbtTransform | CustomTransform):
            return tuple(sorted(self.parameters))
        if isinstance(node, SourceNode) and isinstance(node.source, JdbcSource):
            return tuple(sorted(node.source.named & self.parameters.keys()))
        from lifecycle.spec.sql import sql_parameters

        named = {name for text in sql_texts(node) for name in sql_parameters(text)}
        return tuple(sorted(named & self.parameters.keys()))

    @cached_property
    def normal_form(self) -> Mapping[str, Any]:
        """The plain values that digests are made of; see `lifecycle.spec.normal`. Not to be changed."""
        return normal_form(self)

    @cached_property
    def canonical_bytes(self) -> bytes:
        """The canonical JSON; a spec is asked for its digest at every step of its way."""
        return canonical_bytes(self.normal_form)

    @cached_property
    def _by_id(self) -> Mapping[str, AnyNode]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def _upstream(self) -> Mapping[str, tuple[str, ...]]:
        return _grouped((edge.to, edge.from_) for edge in self.edges)

    @cached_property
    def _downstream(self) -> Mapping[str, tuple[str, ...]]:
        return _grouped((edge.from_, edge.to) for edge in self.edges)

    @cached_property
    def _order(self) -> tuple[str, ...]:
        # Kahn's algorithm; the heap makes the order depend on names alone, not on how the file lists nodes.
        waiting = {node.id: sum(up in self._by_id for up in self.upstream(node.id)) for node in self.nodes}
        ready = [node for node, count in waiting.items() if count == 0]
        heapq.heapify(ready)
        order: list[str] = []
        while ready:
            node = heapq.heappop(ready)
            order.append(node)
            for down in self.downstream(node):
                if down in waiting:
                    waiting[down] -= 1
                    if waiting[down] == 0:
                        heapq.heappush(ready, down)
        return tuple(order)

    @field_validator("owners")
    @classmethod
    def _reachable(cls, owners: tuple[str, ...]) -> tuple[str, ...]:
        for owner in owners:
            if not _OWNER.match(owner):
                raise FieldError(f"'{shorten(owner)}' is not an owner", "write an e-mail address or team:<name>")
        return owners

    @model_validator(mode="after")
    def _one_start(self) -> PipelineSpec:
        if self.schedule and self.automation:
            raise FieldError("schedule and automation both start runs", "keep one of them")
        return self


def sql_texts(node: AnyNode) -> tuple[str, ...]:
    """All SQL of a node, in Spark's dialect."""
    if isinstance(node, MonitorNode):
        return tuple(check.sql for check in node.checks if isinstance(check, SqlCheck))
    text = getattr(node, "sql", None)
    return (text,) if isinstance(text, str) else ()


def reach(arrows: Mapping[str, tuple[str, ...]], starts: Iterable[str]) -> set[str]:
    """Everything that can be reached along the arrows, the starts included."""
    seen, todo = set(starts), list(starts)
    while todo:
        for following in arrows.get(todo.pop(), ()):
            if following not in seen:
                seen.add(following)
                todo.append(following)
    return seen


def _grouped(pairs: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    groups: dict[str, dict[str, None]] = {}
    for key, value in pairs:
        groups.setdefault(key, {})[value] = None
    return {key: tuple(values) for key, values in groups.items()}
