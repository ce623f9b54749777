"""A tool that says how production stood at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from agent.tools.call import ToolCall
from agent.tools.naming import pipeline_named, when
from agent.tools.paging import fit
from agent.tools.tool import Answer, Input, Toolset, tool
from lifecycle.domain.environment import Environment
from lifecycle.domain.releases import TableThen
from lifecycle.verbs import environments
from lifecycle.verbs.answers import Active

_TABLES = 30  # of a release in one row: one with more of them takes several


class At(Input):
    """When."""

    time: datetime = Field(description="ISO; UTC unless it says otherwise")
    pipeline: str | None = Field(None, max_length=63)
    cursor: int = Field(0, ge=0)


class Release(BaseModel):
    """`label` says whether it was approved. `tables`: snapshot, since when, from what."""

    pipeline: str
    version: int
    digest: str
    label: str
    since: str
    request: int | None
    approved_by: tuple[str, ...]
    tables: tuple[str, ...]


class Releases(Answer):
    """By pipeline."""

    releases: tuple[Release, ...]
    cursor: int | None


@tool(Toolset.READ)
def what_was_production_at(call: ToolCall, given: At) -> Releases:
    """Show which versions were active in production at a time, approved by whom, on which snapshots."""
    at = given.time if given.time.tzinfo else given.time.replace(tzinfo=UTC)
    asked = {"environment": Environment.PRODUCTION, "pipeline": given.pipeline, "at": at, "tables": True}
    with pipeline_named(call, given.pipeline or ""):
        found = call.lifecycle.ask(environments.active, asked)
    every = [row for one in sorted(found, key=lambda one: one.pipeline) for row in _rows(one)]
    rest = every[given.cursor :]
    kept, more = fit(rest, len(rest), lambda one: one.pipeline)
    return Releases(
        releases=kept,
        cursor=given.cursor + len(kept) if more is not None else None,
        next="history tells how it came to this" if kept else "nothing was in production then",
    )


def _rows(one: Active) -> Iterator[Release]:
    told = [_table(table) for table in one.tables]
    for start in range(0, len(told) or 1, _TABLES):
        yield Release(
            pipeline=one.pipeline,
            version=one.version,
            digest=one.digest,
            label=one.label.value,
            since=when(one.since),
            request=one.request,
            approved_by=one.approved_by,
            tables=tuple(told[start : start + _TABLES]),
        )


def _table(table: TableThen) -> str:
    if table.snapshot is None:
        return f"{table.table}: not published yet"
    parts = [f"{table.table}: snapshot {table.snapshot}"]
    if table.since is not None:
        parts.append(f"since {when(table.since)}")
    if table.version is not None:
        parts.append(f"by v{table.version} in run {table.run_id}")
    elif table.run_id is None:
        parts.append("adopted")
    if table.inputs:
        parts.append("from " + ", ".join(one.told for one in table.inputs[:8]))
    return " ".join(parts)
