"""Browse tables: names and namespaces of the whole catalog at once, summaries only of the page that is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lifecycle.domain.environment import Environment
from lifecycle.domain.people import Actor
from lifecycle.domain.tables import TableSummary
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.visible_tables import SeenTables, namespace_of, real_name, seen_tables


@dataclass(frozen=True, slots=True)
class Browsed:
    """The tables that match, by name. `namespaces` counts what matches in each, whichever one was asked for."""

    names: tuple[str, ...]
    namespaces: tuple[tuple[str, int], ...]
    seen: SeenTables


def browse(
    ctx: Context, actor: Actor, *, namespace: str = "", search: str = "", environment: Environment | None = None
) -> Browsed:
    """What the actor may see; with `environment`, by the names that pipelines use.

    Tables below a namespace belong to it.
    """
    with ctx.store.read() as view:
        seen = seen_tables(view, actor)
    text = search.casefold()
    every = (name for name in ctx.tables.names() if seen.may(name))
    names = sorted({real_name(name) for name in every} if environment else every)
    found = [name for name in names if text in name.casefold()]
    counts = Counter(namespace_of(name) for name in found)
    inside = [name for name in found if not namespace or name.startswith(f"{namespace}.")]
    return Browsed(tuple(inside), tuple(sorted(counts.items())), seen)


def summaries(
    ctx: Context, names: Sequence[str], environment: Environment | None = None
) -> dict[str, TableSummary | None]:
    """By name, what `browse` found; None for a table that is gone, or that `environment` does not have yet."""
    found = {one.name: one for one in ctx.tables.summaries(names, environment)}
    return {name: found.get(name) for name in names}
