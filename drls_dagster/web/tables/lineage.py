"""Where a table's data comes from and goes to, in columns from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drls_dagster.web.tables import links
from lifecycle.app.kit.guard import Visitor
from lifecycle.domain.environment import Environment
from lifecycle.errors import NotFound
from lifecycle.usecases.context import Context
from lifecycle.usecases.trace import Arrow, Lineage, trace

DEPTH = 5


@dataclass(frozen=True, slots=True)
class Node:
    """A table, or another place that a source reads: then without an address. `by`: the pipelines that bring it."""

    name: str
    url: str
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """What is `steps` away: upstream below zero, the table itself at zero."""

    steps: int
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Stages:
    """`more`: there is more further away. `ends`: pipelines that read the table and write none."""

    stages: tuple[Stage, ...]
    arrows: tuple[Arrow, ...]
    ends: tuple[str, ...]
    more: bool


def stages(ctx: Context, who: Visitor, name: str, environment: Environment | None) -> Stages:
    """Of the newest definitions that the visitor may see; empty for a table that none names."""
    with ctx.store.read() as view:
        try:
            found = trace(view, who.actor, name, depth=DEPTH)
        except NotFound:
            found = Lineage(name=name, kind="table", arrows=())
    places: dict[int, dict[str, list[str]]] = {0: {name: []}}
    for one in sorted(found.arrows, key=lambda arrow: abs(arrow.steps)):
        # An arrow one step up brings the table itself from what is one stage further up.
        near, far = (one.target, one.source) if one.steps < 0 else (one.source, one.target)
        if far is not None and far != near:
            places.setdefault(one.steps, {}).setdefault(far, [])
            places[one.steps][far] = _with(places[one.steps][far], one.pipeline if one.steps > 0 else "")
        if one.steps < 0 and near is not None:
            stage = places.setdefault(one.steps + 1, {})
            stage[near] = _with(stage.get(near, []), one.pipeline)
    tables = frozenset(_tables(found.arrows, name))
    made = tuple(
        Stage(steps, tuple(Node(one, _url(one, tables, environment), tuple(by)) for one, by in sorted(nodes.items())))
        for steps, nodes in sorted(places.items())
    )
    ends = sorted({one.pipeline for one in found.arrows if one.target is None})
    return Stages(made, found.arrows, tuple(ends), found.more)


def _with(known: list[str], pipeline: str) -> list[str]:
    return [*known, pipeline] if pipeline and pipeline not in known else known


def _tables(arrows: Sequence[Arrow], name: str) -> set[str]:
    written = {one.target for one in arrows if one.target is not None}
    # A path or a topic has a slash or a colon in it; a table has neither.
    read = {one.source for one in arrows if "." in one.source and not set(one.source) & set("/:*")}
    return {name, *written, *read}


def _url(name: str, tables: frozenset[str], environment: Environment | None) -> str:
    return links.table(name, "lineage", environment) if name in tables else ""
