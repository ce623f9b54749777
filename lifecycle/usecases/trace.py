"""Trace: what is upstream and downstream of a table or pipeline, from the newest definitions that the actor may see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from pydantic import Field

from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.errors import NotFound
from lifecycle.store.repositories.overview import Head
from lifecycle.store.unit import View
from lifecycle.usecases.parts.outlines import Outline, lineages, outlines
from lifecycle.usecases.parts.visible import visible_ids

MOST = 500


class Direction(StrEnum):
    """Against the data, with it, or both."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


class Arrow(Frozen):
    """`pipeline` reads `source` and writes `target`, `steps` away from where the look began (negative: upstream).

    `columns` has for columns of `target` those of `source` that they come from. A pipeline that writes no table has
    no `target`.
    """

    steps: int
    source: str
    pipeline: str
    target: str | None = None
    columns: dict[str, tuple[str, ...]] = Field(default_factory=dict[str, tuple[str, ...]])


class Lineage(Frozen):
    """`more`: there is more than `depth` steps away, or than fits."""

    name: str
    kind: str
    arrows: tuple[Arrow, ...]
    more: bool = False


class _Ends(NamedTuple):
    """An arrow, wherever the look began."""

    source: str
    pipeline: str
    target: str | None

    def arrow(self, steps: int) -> Arrow:
        return Arrow(steps=steps, source=self.source, pipeline=self.pipeline, target=self.target)


@dataclass(frozen=True, slots=True)
class _Known:
    head: Head
    outline: Outline

    @property
    def reads(self) -> frozenset[str]:
        return frozenset(self.outline.reads.values())

    @property
    def writes(self) -> tuple[str, ...]:
        return tuple(self.outline.writes.values())


@dataclass(frozen=True, slots=True)
class _Graph:
    """All that somebody sees: the places that pipelines name, and the arrows by where they lead to and come from."""

    known: list[_Known]
    places: frozenset[str]
    to: dict[str | None, list[_Ends]]
    out: dict[str | None, list[_Ends]]


def trace(
    view: View, actor: Actor, name: str, *, direction: Direction = Direction.BOTH, depth: int = 3, column: str = ""
) -> Lineage:
    """`name` is a table, a pipeline, or another place that a source reads. `column`: of the table, and only its way.

    Raises NotFound for what no visible definition names.
    """
    only = visible_ids(view, actor)
    graph = view.once(("graph", only), lambda: _graph(view, only))
    known = graph.known
    own = [one for one in known if one.head.name == name]
    if not own and name not in graph.places:
        raise NotFound(f"there is no table or pipeline {name!r} that you may see")
    starts = {*own[0].writes, *own[0].reads} if own else {name}
    arrows: dict[_Ends, Arrow] = {}
    more = False
    for way in (Direction.UP, Direction.DOWN):
        if direction in (way, Direction.BOTH):
            begin = (set(own[0].reads) if way is Direction.UP else set(own[0].writes)) if own else starts
            more |= _walk(graph, begin, way, depth, arrows)
    for one in own:
        # Its own arrows are no step away.
        for ends in _ends(one):
            arrows[ends] = ends.arrow(0)
    found = sorted(arrows.values(), key=lambda one: (one.steps, one.source, one.pipeline, one.target or ""))
    traced = _with_columns(view, known, found[:MOST], name, column)
    return Lineage(name=name, kind="pipeline" if own else "table", arrows=traced, more=more or len(found) > MOST)


def _graph(view: View, only: frozenset[int] | None) -> _Graph:
    heads = [head for head in view.overview.heads() if only is None or head.id in only]
    made = outlines.of(view, [head.digest for head in heads])
    known = [_Known(head, made[head.digest]) for head in heads if head.digest in made]
    to: dict[str | None, list[_Ends]] = {}
    out: dict[str | None, list[_Ends]] = {}
    for ends in (each for one in known for each in _ends(one)):
        to.setdefault(ends.target, []).append(ends)
        out.setdefault(ends.source, []).append(ends)
    places = frozenset(place for one in known for place in (*one.reads, *one.writes))
    return _Graph(known, places, to, out)


def _walk(
    graph: _Graph,
    begin: set[str],
    way: Direction,
    depth: int,
    arrows: dict[_Ends, Arrow],
) -> bool:
    """Adds the arrows of up to `depth` steps; whether there are more behind them."""
    up = way is Direction.UP
    seen, edge = set(begin), set(begin)
    by_end = graph.to if up else graph.out
    for step in range(1, depth + 2):
        following: set[str] = set()
        for ends in (each for near in edge for each in by_end.get(near, ())):
            if step > depth:
                return True
            arrows.setdefault(ends, ends.arrow(-step if up else step))
            far = ends.source if up else ends.target
            if far is not None and far not in seen:
                following.add(far)
        seen |= following
        edge = following
    return False


def _ends(one: _Known) -> Iterator[_Ends]:
    fed = {source for sources in one.outline.feeds.values() for source in sources}
    for target, sources in one.outline.feeds.items():
        for source in sources:
            yield _Ends(source, one.head.name, target)
    for source in sorted(one.reads - fed):
        yield _Ends(source, one.head.name, None)


def _with_columns(view: View, known: list[_Known], arrows: list[Arrow], name: str, column: str) -> tuple[Arrow, ...]:
    if not column:
        return tuple(arrows)
    digests = {one.head.name: one.head.digest for one in known}
    found = lineages.of(view, [digests[one.pipeline] for one in arrows])
    every = [_detailed(one, found[digests[one.pipeline]]) for one in arrows]
    followed = {(name, column.casefold())}
    # Each round follows the columns one arrow further, along the data and against it.
    for _ in every:
        before = len(followed)
        for one in every:
            for target, sources in one.columns.items():
                ends = {(one.source, source.casefold()) for source in sources}
                if one.steps <= 0 and (one.target, target.casefold()) in followed:
                    followed |= ends
                if one.steps >= 0 and ends & followed:
                    followed.add((one.target or "", target.casefold()))
        if len(followed) == before:
            break
    kept: list[Arrow] = []
    for one in every:
        columns = {
            target: tuple(source for source in sources if (one.source, source.casefold()) in followed)
            for target, sources in one.columns.items()
            if (one.target, target.casefold()) in followed
        }
        if any(columns.values()):
            kept.append(one.model_copy(update={"columns": {target: ends for target, ends in columns.items() if ends}}))
    return tuple(kept)


def _detailed(arrow: Arrow, lineage: dict[str, dict[str, tuple[tuple[str, str], ...]]]) -> Arrow:
    columns: dict[str, tuple[str, ...]] = {}
    for target, origins in lineage.get(arrow.target or "", {}).items():
        ends = tuple(column for place, column in origins if place == arrow.source)
        if ends:
            columns[target] = ends
    return arrow.model_copy(update={"columns": columns})
