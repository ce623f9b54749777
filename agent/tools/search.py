"""Tools that find things and what is around them: search, lineage, history."""

from __future__ import annotations

from pydantic import BaseModel, Field

from agent.tools.call import ToolCall
from agent.tools.errors import ToolError
from agent.tools.naming import lines, pipeline_named, when
from agent.tools.paging import fit, short
from agent.tools.tool import Answer, Input, Toolset, tool
from lifecycle.domain.environment import Environment
from lifecycle.errors import NotFound
from lifecycle.usecases.find import Found, Kind, place_of
from lifecycle.usecases.trace import Arrow, Direction
from lifecycle.verbs import catalog


class Search(Input):
    """What to look for; all of it must fit."""

    text: str = Field("", max_length=200)
    kind: Kind | None = None
    owner: str = Field("", max_length=200)
    tag: str = Field("", max_length=200, description="key or key=value")
    column: str = Field("", max_length=200)
    cursor: str = Field("", max_length=1_000)
    limit: int = Field(20, ge=1, le=100)


class Hit(BaseModel):
    """`pipeline` is the one that it belongs to, or that writes the table."""

    kind: Kind
    name: str
    pipeline: str | None
    about: str
    active: tuple[str, ...]
    readers: tuple[str, ...]
    columns: tuple[str, ...]


class Hits(Answer):
    """One list, best first."""

    found: tuple[Hit, ...]
    cursor: str | None


@tool(Toolset.READ)
def search(call: ToolCall, given: Search) -> Hits:
    """Find pipelines, tables and assets (steps) by name, owner, tag or column."""
    asked = {**given.model_dump(exclude={"cursor", "limit"}), "after": given.cursor, "limit": given.limit + 1}
    found = call.lifecycle.ask(catalog.search, asked)
    kept, _ = fit([_hit(one) for one in found], given.limit, lambda one: one.name)
    cursor = None
    if len(kept) < len(found):
        cursor = place_of(found[len(kept) - 1], given.text)
    return Hits(
        found=kept, cursor=cursor, next="get_pipeline or lineage shows more of one" if kept else _nothing(given)
    )


def _hit(one: Found) -> Hit:
    tags = [f"{key}={value}" for key, value in one.tags.items()]
    return Hit(
        kind=one.kind,
        name=one.name,
        pipeline=one.pipeline if one.kind is not Kind.PIPELINE else None,
        about=short(" · ".join(part for part in (one.description, ", ".join((*one.owners, *tags))) if part), 200),
        active=tuple(f"{where.value} v{number}" for where, number in one.active.items()),
        readers=lines(one.readers, most=10),
        columns=lines(one.columns, most=20),
    )


def _nothing(given: Search) -> str:
    asked = [name for name in ("kind", "owner", "tag", "column") if getattr(given, name)]
    if asked:
        return f"nothing fits; leave out {', '.join(asked)}"
    return "nothing fits; try a shorter text" if given.text else "there is nothing yet that you may see"


class Look(Input):
    """Where to begin, and how far to look."""

    name: str = Field(max_length=255, description="table (namespace.table) or pipeline")
    direction: Direction = Direction.BOTH
    depth: int = Field(3, ge=1, le=10)
    column: str = Field("", max_length=200, description="follow this column of the table")


class Step(BaseModel):
    """`steps`: how far away, upstream negative. `columns`: target column <- source columns."""

    steps: int
    source: str
    pipeline: str
    target: str | None
    columns: tuple[str, ...]


class Steps(Answer):
    """From far upstream to far downstream."""

    arrows: tuple[Step, ...]
    more: bool


@tool(Toolset.READ)
def lineage(call: ToolCall, given: Look) -> Steps:
    """Show which tables and pipelines are upstream and downstream; with column, where it comes from and goes."""
    try:
        found = call.lifecycle.ask(catalog.lineage, given.model_dump())
    except NotFound:
        raise ToolError(
            f"there is no table or pipeline {short(given.name, 80)!r} here, or you may not see it",
            hint="search finds names",
        ) from None
    nearest = sorted(found.arrows, key=lambda one: abs(one.steps))
    kept, cut = fit([_step(one) for one in nearest], len(nearest), lambda one: one.source)
    more = found.more or cut is not None
    arrows = tuple(sorted(kept, key=lambda one: one.steps))
    says = "ask with direction, less or more depth, or column" if more else ""
    if given.column and not arrows:
        says = "no SQL leads to or from this column; without column, every table is shown"
    return Steps(arrows=arrows, more=more, next=says)


def _step(one: Arrow) -> Step:
    return Step(
        steps=one.steps,
        source=one.source,
        pipeline=one.pipeline,
        target=one.target,
        columns=lines((f"{target} <- {', '.join(sources)}" for target, sources in one.columns.items()), most=20),
    )


class Since(Input):
    """Whose past."""

    pipeline: str | None = Field(None, max_length=63)
    environment: Environment | None = None
    cursor: int | None = Field(None, ge=1)
    limit: int = Field(20, ge=1, le=100)


class Event(BaseModel):
    """Who did what, and why."""

    at: str
    by: str
    what: str
    pipeline: str | None
    environment: Environment | None
    request: int | None
    reason: str


class Events(Answer):
    """Newest first."""

    events: tuple[Event, ...]
    cursor: int | None


@tool(Toolset.READ)
def history(call: ToolCall, given: Since) -> Events:
    """Show what happened, newest first: versions saved, requests, promotions, rollbacks, holds, drift."""
    asked = given.model_dump(exclude={"cursor", "limit"})
    with pipeline_named(call, given.pipeline or ""):
        found = call.lifecycle.ask(catalog.history, {**asked, "before": given.cursor, "limit": given.limit + 1})
    events = [
        Event(
            at=when(one.at),
            by=f"{one.by} for {one.acted_for}" if one.acted_for else one.by,
            what=one.what,
            pipeline=one.pipeline,
            environment=one.environment,
            request=one.request,
            reason=short(one.reason),
        )
        for one in found
    ]
    kept, _ = fit(events, given.limit, lambda one: one.at)
    cursor = found[len(kept) - 1].sequence if len(kept) < len(found) else None
    return Events(events=kept, cursor=cursor, next="get_request shows a request" if kept else "nothing happened there")
