"""Where the nodes of a graph are drawn: layers from left to right, few crossings, long edges straight.

The method is Sugiyama, Tagawa and Toda's (Methods for visual understanding of hierarchical system structures,
IEEE Transactions on Systems, Man, and Cybernetics 11(2), 1981): turn cycles, layer by longest path, put dummy
nodes where an edge passes a layer, order each layer by barycentres. Positions inside a layer are the least-squares
fit to the neighbours' positions at the smallest distance allowed, found by pooling adjacent violators (Ayer,
Brunk, Ewing, Reid and Silverman, Annals of Mathematical Statistics 26(4), 1955).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

Edge = tuple[str, str]
# A node that only lets a long edge pass is named by its edge and layer; nodes are named by text.
_Place = str | tuple[str, str, int]
_T = TypeVar("_T")

WIDTH, HEIGHT = 196, 52
GAP_X, GAP_Y = 52, 18
_PASSING = 4
_SWEEPS = 12
_STRAIGHT = 4.0


@dataclass(frozen=True, slots=True)
class Box:
    """The upper left corner of a node, in pixels; each is WIDTH by HEIGHT."""

    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Every node's box, every edge's points from its start's right side to its end's left side, and the size."""

    boxes: Mapping[str, Box]
    routes: Mapping[Edge, tuple[tuple[int, int], ...]]
    width: int
    height: int


def layered(nodes: Sequence[str], edges: Sequence[Edge]) -> Layout:
    """Lays a graph out; the same input gives the same picture. Edges to unknown nodes and to itself are left out."""
    known = dict.fromkeys(nodes)
    kept = list(dict.fromkeys(edge for edge in edges if edge[0] != edge[1] and known.keys() >= set(edge)))
    turned = _turned(list(known), kept)
    forward = list(dict.fromkeys(turned.values()))
    layer_of = _layers(list(known), forward)
    layers, links = _with_passing(list(known), forward, layer_of)
    layers = _ordered(layers, links)
    middle = _positions(layers, links)
    top = min((y - (_room(place) - GAP_Y) / 2 for place, y in middle.items()), default=0.0)
    boxes = {node: Box(layer_of[node] * (WIDTH + GAP_X), round(middle[node] - top - HEIGHT / 2)) for node in known}
    routes = {drawn: _route(edge, drawn, layer_of, middle, top) for drawn, edge in turned.items()}
    width = (max(layer_of.values(), default=0) + 1) * (WIDTH + GAP_X) - GAP_X
    height = max((box.y + HEIGHT for box in boxes.values()), default=0)
    lowest = max((y for points in routes.values() for _, y in points), default=0)
    return Layout(boxes, routes, width, max(height, lowest + _PASSING))


def _turned(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[Edge, Edge]:
    """By edge the one to lay out for it, all of them without cycles: what closes a cycle is turned round."""
    down = _grouped(edges)
    state: dict[str, int] = {}
    back: set[Edge] = set()
    for start in nodes:
        if start in state:
            continue
        state[start] = 1
        stack = [(start, iter(down.get(start, ())))]
        while stack:
            node, following = stack[-1]
            for other in following:
                if state.get(other) == 1:
                    back.add((node, other))
                elif other not in state:
                    state[other] = 1
                    stack.append((other, iter(down.get(other, ()))))
                    break
            else:
                state[node] = 2
                stack.pop()
    return {(start, end): (end, start) if (start, end) in back else (start, end) for start, end in edges}


def _layers(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Longest path from the left; a node with nothing before it is placed directly left of what follows it."""
    down, up = _grouped(edges), _grouped((end, start) for start, end in edges)
    waiting = {node: len(up.get(node, ())) for node in nodes}
    ready = [node for node in nodes if not waiting[node]]
    found = dict.fromkeys(nodes, 0)
    for node in ready:
        for other in down.get(node, ()):
            found[other] = max(found[other], found[node] + 1)
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    for node in nodes:
        if node not in up and node in down:
            found[node] = min(found[other] for other in down[node]) - 1
    return found


def _with_passing(
    nodes: Sequence[str], edges: Sequence[Edge], layer_of: Mapping[str, int]
) -> tuple[list[list[_Place]], list[tuple[_Place, _Place]]]:
    layers: list[list[_Place]] = [[] for _ in range(max(layer_of.values(), default=0) + 1)]
    for node in nodes:
        layers[layer_of[node]].append(node)
    links: list[tuple[_Place, _Place]] = []
    for start, end in edges:
        before: _Place = start
        for layer in range(layer_of[start] + 1, layer_of[end]):
            passing: _Place = (start, end, layer)
            layers[layer].append(passing)
            links.append((before, passing))
            before = passing
        links.append((before, end))
    return layers, links


def _ordered(layers: list[list[_Place]], links: Sequence[tuple[_Place, _Place]]) -> list[list[_Place]]:
    """Sweeps to the right and back, each layer by the barycentre of its neighbours; the best seen is kept."""
    down, up = _grouped(links), _grouped((end, start) for start, end in links)
    best, fewest = [list(layer) for layer in layers], _crossings(layers, down)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        to_right = sweep % 2 == 0
        beside = up if to_right else down
        order = range(1, len(layers)) if to_right else range(len(layers) - 2, -1, -1)
        for index in order:
            fixed = {place: at for at, place in enumerate(layers[index - 1 if to_right else index + 1])}
            own = {place: at for at, place in enumerate(layers[index])}
            layers[index].sort(
                key=lambda place, fixed=fixed, own=own: _barycentre(beside.get(place, ()), fixed, own[place])
            )
        crossings = _crossings(layers, down)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    return best


def _barycentre(neighbours: Sequence[_Place], at: Mapping[_Place, int], own: int) -> float:
    return sum(at[one] for one in neighbours) / len(neighbours) if neighbours else float(own)


def _crossings(layers: Sequence[Sequence[_Place]], down: Mapping[_Place, Sequence[_Place]]) -> int:
    """Inversions between the ends of the links, layer by layer."""
    count = 0
    for left, right in pairwise(layers):
        at = {place: index for index, place in enumerate(right)}
        seen: list[int] = []
        for place in left:
            ends = sorted(at[end] for end in down.get(place, ()))
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _positions(layers: Sequence[Sequence[_Place]], links: Sequence[tuple[_Place, _Place]]) -> dict[_Place, float]:
    """The middle of each place, from top to bottom."""
    down, up = _grouped(links), _grouped((end, start) for start, end in links)
    middle: dict[_Place, float] = {}
    for layer in layers:
        at = 0.0
        for place in layer:
            middle[place] = at + _room(place) / 2
            at += _room(place)
    for sweep in range(_SWEEPS):
        to_right = sweep % 2 == 0
        for layer in layers if to_right else reversed(layers):
            wanted = [_wanted(place, up, down, middle, to_right=to_right) for place in layer]
            middle.update(zip(layer, _apart(layer, wanted), strict=True))
    return middle


def _wanted(
    place: _Place,
    up: Mapping[_Place, Sequence[_Place]],
    down: Mapping[_Place, Sequence[_Place]],
    middle: Mapping[_Place, float],
    *,
    to_right: bool,
) -> float:
    beside = (up if to_right else down).get(place) or (down if to_right else up).get(place)
    return sum(middle[one] for one in beside) / len(beside) if beside else middle[place]


def _apart(layer: Sequence[_Place], wanted: Sequence[float]) -> list[float]:
    """The positions nearest to `wanted` (least squares) that keep the order and the distances."""
    offsets: list[float] = []
    offset = 0.0
    for index, place in enumerate(layer):
        offset += (_room(layer[index - 1]) + _room(place)) / 2 if index else 0.0
        offsets.append(offset)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many
    for place, target, moved in zip(layer, wanted, offsets, strict=True):
        weight = 1.0 if isinstance(place, str) else _STRAIGHT
        mean, many = target - moved, 1
        while blocks and blocks[-1][0] > mean:
            other, other_weight, other_many = blocks.pop()
            mean = (mean * weight + other * other_weight) / (weight + other_weight)
            weight, many = weight + other_weight, many + other_many
        blocks.append((mean, weight, many))
    means = [mean for mean, _, many in blocks for _ in range(many)]
    return [mean + moved for mean, moved in zip(means, offsets, strict=True)]


def _room(place: _Place) -> int:
    return HEIGHT + GAP_Y if isinstance(place, str) else _PASSING * 2 + GAP_Y


def _route(
    edge: Edge, drawn: Edge, layer_of: Mapping[str, int], middle: Mapping[_Place, float], top: float
) -> tuple[tuple[int, int], ...]:
    start, end = edge
    step = WIDTH + GAP_X

    def at(x: int, place: _Place) -> tuple[int, int]:
        return x, round(middle[place] - top)

    points = [at(layer_of[start] * step + WIDTH, start)]
    for layer in range(layer_of[start] + 1, layer_of[end]):
        points += [at(layer * step, (start, end, layer)), at(layer * step + WIDTH, (start, end, layer))]
    points.append(at(layer_of[end] * step, end))
    return tuple(points) if edge == drawn else tuple(reversed(points))


def _grouped(pairs: Iterable[tuple[_T, _T]]) -> dict[_T, list[_T]]:
    groups: dict[_T, list[_T]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
