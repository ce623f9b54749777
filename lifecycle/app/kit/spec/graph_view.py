"""A spec's nodes as a drawing, and the same as a list; of two specs, what came, went and changed is marked."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from lifecycle.app.kit.spec.graph_layout import GAP_X, Box, Edge, layered
from lifecycle.app.kit.spec.node_words import icon_of, kind_of, subject_of
from lifecycle.domain.spec_diff import SpecDiff
from lifecycle.spec import AnyNode, PipelineSpec

Mark = Literal["", "added", "removed", "changed"]
MAX_DRAWN = 100
# What fits into a box of 196 px next to its icon, in the widest of the usual fonts.
_LETTERS = 19
_SMALL_LETTERS = 22


@dataclass(frozen=True, slots=True)
class DrawnNode:
    """A node in the drawing; `label` and `under` are cut to fit, `title` is all of it. `anchor`: see Listed."""

    id: str
    anchor: str
    x: int
    y: int
    icon: str
    type: str
    label: str
    under: str
    title: str
    blocking: int
    warn: int
    mark: Mark


@dataclass(frozen=True, slots=True)
class DrawnEdge:
    """A line of the drawing as an SVG path."""

    path: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Listed:
    """A node in words; `after` are the nodes that it reads. `anchor` is where the page says more, or empty."""

    id: str
    anchor: str
    icon: str
    kind: str
    subject: str
    after: tuple[str, ...]
    checks: str
    blocking: int
    warn: int
    mark: Mark


@dataclass(frozen=True, slots=True)
class GraphView:
    """`nodes` is empty where too many would be drawn: `note` then says so, and the list has them all."""

    name: str
    width: int
    height: int
    nodes: tuple[DrawnNode, ...]
    edges: tuple[DrawnEdge, ...]
    listed: tuple[Listed, ...]
    says: str
    note: str


def graph_view(
    spec: PipelineSpec, *, before: PipelineSpec | None = None, diff: SpecDiff | None = None, around: str = ""
) -> GraphView:
    """The graph of `spec`. With `diff`, also what `before` had, marked.

    Above MAX_DRAWN nodes only a part is drawn: what is connected to the node `around`, or what changed with its
    neighbours; without either nothing. Monitors are drawn on the node that they check.
    """
    nodes: dict[str, AnyNode] = {node.id: node for one in (before, spec) if one is not None for node in one.nodes}
    specs = tuple(one for one in (spec, before) if one is not None)
    order = dict.fromkeys(name for one in reversed(specs) for name in one.topological())
    names = [name for name in order if nodes[name].type != "monitor"]
    edges = dict.fromkeys((edge.from_, edge.to) for one in specs for edge in one.edges)
    edges = [edge for edge in edges if set(edge) <= set(names)]
    anchors = _anchors(diff, specs, names)
    marks = _marks(diff, anchors)
    kept, note = _kept(names, edges, marks, around)
    layout = layered(kept, [edge for edge in edges if set(edge) <= set(kept)])
    edge_marks = _edge_marks(diff)
    listed = tuple(_listed(nodes[name], specs, anchors.get(name, ""), marks.get(name, "")) for name in names)
    by_id = {one.id: one for one in listed}
    return GraphView(
        name=spec.name,
        width=layout.width,
        height=layout.height,
        nodes=tuple(_drawn(by_id[name], nodes[name], box) for name, box in layout.boxes.items()),
        edges=tuple(DrawnEdge(_path(points), edge_marks.get(edge, "")) for edge, points in layout.routes.items()),
        listed=listed,
        says=(
            f"{len(kept)} nodes from left to right and {len(layout.routes)} arrows; the list of nodes "
            "contains the same information"
        ),
        note=note,
    )


def _anchors(diff: SpecDiff | None, specs: Sequence[PipelineSpec], names: Sequence[str]) -> dict[str, str]:
    """By node the one that is written about: itself, or a monitor of it that is different."""
    if diff is None:
        return {name: name for name in names}
    different = [one.node for one in diff.nodes]
    hosts = {host: name for spec in specs for name in different for host in spec.upstream(name)}
    monitors = {monitor.id for spec in specs for monitor in spec.monitors}
    return {host: name for host, name in hosts.items() if name in monitors} | {name: name for name in different}


def _marks(diff: SpecDiff | None, anchors: Mapping[str, str]) -> dict[str, Mark]:
    """By node; a node whose checks are different counts as changed."""
    if diff is None:
        return {}
    own: dict[str, Mark] = {one.node: one.change for one in diff.nodes}
    return {name: own.get(name, "changed") for name in anchors}


def _edge_marks(diff: SpecDiff | None) -> dict[Edge, Mark]:
    if diff is None:
        return {}
    found: dict[Edge, Mark] = {}
    sides: tuple[tuple[Mark, tuple[str, ...]], ...] = (("added", diff.edges_added), ("removed", diff.edges_removed))
    for mark, texts in sides:
        for text in texts:
            start, _, end = text.partition(" → ")
            found[(start, end)] = mark
    return found


def _kept(
    names: Sequence[str], edges: Sequence[Edge], marks: Mapping[str, Mark], around: str
) -> tuple[Sequence[str], str]:
    if len(names) <= MAX_DRAWN:
        return names, ""
    beside: dict[str, list[str]] = {}
    for start, end in edges:
        beside.setdefault(start, []).append(end)
        beside.setdefault(end, []).append(start)
    starts = [around] if around in names else [name for name in names if name in marks]
    if not starts or len(starts) > MAX_DRAWN:
        return (
            (),
            (
                f"{len(names)} nodes are too many to draw. The list below contains all of them; open one to "
                "draw its neighbours"
            ),
        )
    kept = _nearest(beside, starts)
    return [name for name in names if name in kept], f"Showing the nearest {len(kept)} of {len(names)} nodes"


def _nearest(beside: Mapping[str, Sequence[str]], starts: Sequence[str]) -> Set[str]:
    """The starts and what is nearest to them, breadth first, up to MAX_DRAWN."""
    kept = set(starts)
    todo = deque(starts)
    while todo and len(kept) < MAX_DRAWN:
        for other in beside.get(todo.popleft(), ()):
            if other not in kept and len(kept) < MAX_DRAWN:
                kept.add(other)
                todo.append(other)
    return kept


def _listed(node: AnyNode, specs: Sequence[PipelineSpec], anchor: str, mark: Mark) -> Listed:
    spec = next(one for one in specs if any(other.id == node.id for other in one.nodes))
    blocking, warn = _checks(node.id, spec)
    words = [f"{count} {word}" for count, word in ((blocking, "blocking"), (warn, "warn")) if count]
    return Listed(
        id=node.id,
        anchor=anchor,
        icon=icon_of(node),
        kind=kind_of(node),
        subject=subject_of(node),
        after=spec.upstream(node.id),
        checks=f"{' and '.join(words)} {'check' if blocking + warn == 1 else 'checks'}" if words else "",
        mark=mark,
        blocking=blocking,
        warn=warn,
    )


def _checks(name: str, spec: PipelineSpec) -> tuple[int, int]:
    severities = [check.severity for monitor in spec.monitors_of(name) for check in monitor.checks]
    return severities.count("blocking"), severities.count("warn")


def _drawn(one: Listed, node: AnyNode, box: Box) -> DrawnNode:
    words = (one.id, one.kind, one.subject, one.checks, one.mark)
    return DrawnNode(
        id=one.id,
        anchor=one.anchor,
        x=box.x,
        y=box.y,
        icon=one.icon,
        type=node.type,
        label=_cut(one.id, _LETTERS),
        under=_cut(one.subject or one.kind, _SMALL_LETTERS),
        title=", ".join(word for word in words if word),
        blocking=one.blocking,
        warn=one.warn,
        mark=one.mark,
    )


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _path(points: Sequence[tuple[int, int]]) -> str:
    """Straight where an edge passes a layer, a curve in each gap between layers."""
    (x, y), *rest = points
    parts = [f"M{x} {y}"]
    for to_x, to_y in rest:
        if abs(to_x - x) == GAP_X:
            half = (x + to_x) // 2
            parts.append(f"C{half} {y} {half} {to_y} {to_x} {to_y}")
        else:
            parts.append(f"L{to_x} {to_y}")
        x, y = to_x, to_y
    return "".join(parts)
