"""Tools that read tables: what one is, its rows, its snapshots, and SQL over several."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from agent.tools.call import ToolCall
from agent.tools.errors import ToolError
from agent.tools.paging import fit, short
from agent.tools.schema import size
from agent.tools.tool import Answer, Input, Toolset, tool
from lifecycle.domain.environment import Environment
from lifecycle.domain.model import SnapshotId
from lifecycle.domain.tables import ColumnFacts, ColumnStatistics, QueryEngine, ReadFrom, TableRows
from lifecycle.usecases.read_tables import TableDetail, TableUse
from lifecycle.verbs import tables

_ROOM = 12_000  # bytes of JSON for rows, and for columns
_TEXT = 300  # characters of a value
_COLUMNS = 60
_SCANNED_ROWS = 1_000_000  # of a larger table, statistics come from metadata where it tells them exactly
_STATISTICS_SECONDS = 20
_HEADER = 5_000  # bytes of JSON for the names and types of columns


def _snapshot(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise ValueError("a snapshot is a whole number")
    return text


Name = Annotated[str, Field(description="namespace.table")]
Where = Environment | None
# Text, since JSON's numbers are too small for it.
SnapshotText = Annotated[str, AfterValidator(_snapshot)]


class GetTable(Input):
    """Which table, and which of its columns."""

    table: Name
    environment: Where = Field(None, description="for pipelines' names")
    column: str = Field("", description="part of a column's name")
    after: int = Field(0, ge=0)
    statistics: bool = Field(False, description="of each column")


class TableAnswer(Answer):
    """A table. `columns`: name, type and what else is known of each, nested ones as `outer.inner`.

    `after` is where the next columns begin.
    """

    name: str
    columns: list[str]
    columns_total: int
    after: int | None = None
    rows: int | None
    bytes: int | None
    updated_at: datetime | None
    about: list[str]


@tool(Toolset.READ)
def get_table(call: ToolCall, given: GetTable) -> TableAnswer:
    """Show a table: columns, size, layout, pipelines, environments, refs, health."""
    asked = call.lifecycle.tables
    found = asked.show(given.table, environment=given.environment)
    schema = asked.schema(
        given.table, environment=given.environment, search=given.column, after=given.after, most=_COLUMNS
    )
    health = asked.health(given.table, environment=given.environment)
    values, read = _values(call, given, schema.columns, found.rows) if given.statistics else ({}, [])
    columns = _fitting_texts([_column(one, values.get(one.name)) for one in schema.columns])
    shown = given.after + len(columns)
    more = shown < schema.total
    return TableAnswer(
        name=found.name,
        columns=columns,
        columns_total=schema.total,
        after=shown if more else None,
        rows=found.rows,
        bytes=found.bytes,
        updated_at=found.updated_at,
        about=[
            *(f"partitioned by {short(one, 100)}" for one in found.partition_by[:20]),
            *(f"sorted by {short(one, 100)}" for one in found.sort_by[:20]),
            *(f"written by {_use(one)}" for one in found.written_by[:20]),
            *(f"read by {_use(one)}" for one in found.read_by[:20]),
            *_heads(found),
            *_refs(found),
            *read,
            (
                f"health {health.score} of 100: {health.recommendation} ({health.data_file_count} data files, "
                f"{health.small_file_count} small, {health.delete_file_count} delete files, "
                f"{health.snapshot_count} snapshots)"
            ),
        ],
        next=f"See more columns with after={shown}, or find one with column."
        if more
        else "Show rows with preview_table, or ask for numbers with query.",
    )


class PreviewTable(Input):
    """Which rows. Name at most one of ref, snapshot and at."""

    table: Name
    environment: Where = None
    ref: str | None = Field(None, description="branch or tag")
    snapshot: SnapshotText | None = None
    at: datetime | None = None
    columns: list[str] = Field([], max_length=100)
    rows: int = Field(10, ge=1, le=200)


class RowsAnswer(Answer):
    """Rows, each with a value per column (`name: type`). `cut`: why rows are missing."""

    columns: list[str]
    rows: list[list[Any]]
    snapshot: SnapshotId | None
    cut: str


@tool(Toolset.READ)
def preview_table(call: ToolCall, given: PreviewTable) -> RowsAnswer:
    """Show the first rows of a table."""
    if given.at is not None and given.at.tzinfo is None:
        raise ToolError("at has no time zone", hint="write it as 2026-01-31T12:00:00Z")

    def ask(columns: tuple[str, ...]) -> TableRows:
        return call.lifecycle.tables.preview(
            given.table,
            environment=given.environment,
            ref=given.ref,
            snapshot=None if given.snapshot is None else int(given.snapshot),
            at=given.at,
            columns=columns,
            rows=given.rows,
            most_bytes=_ROOM,
            text=_TEXT,
        )

    found = ask(tuple(given.columns))
    some = tuple(one.name for one in found.columns[:_COLUMNS])
    cut = found.cut
    if not given.columns and len(found.columns) > _COLUMNS:
        total = len(found.columns)
        found = ask(some)
        cut = "; ".join(filter(None, (found.cut, f"the first {_COLUMNS} of {total:,} columns")))
    return RowsAnswer(
        columns=_header([(one.name, one.type) for one in found.columns]),
        rows=_fitting(found.rows),
        snapshot=found.snapshot,
        cut=cut,
        next="Name columns to see others; ask for numbers with query." if cut else "Ask for numbers with query.",
    )


class Query(Input):
    """What to ask."""

    sql: str = Field(description="one SELECT; tables as namespace.table", min_length=1, max_length=50_000)
    environment: Where = None
    ref: str | None = Field(None, description="branch or tag", max_length=200)
    engine: QueryEngine = QueryEngine.DUCKDB
    rows: int = Field(50, ge=1, le=500)


class QueryAnswer(Answer):
    """Rows, each with a value per column, and the snapshots that were read. `cut`: why rows are missing."""

    columns: list[str]
    rows: list[list[Any]]
    read: list[str]
    cut: str


@tool(Toolset.READ)
def query(call: ToolCall, given: Query) -> QueryAnswer:
    """Answer one SELECT over tables, within 30 seconds."""
    found = call.lifecycle.tables.query(
        given.sql,
        environment=given.environment,
        ref=given.ref,
        rows=given.rows,
        most_bytes=_ROOM,
        text=_TEXT,
        engine=given.engine,
    )
    return QueryAnswer(
        columns=_header([(one.name, one.type) for one in found.columns]),
        rows=_fitting(found.rows),
        read=[f"{one.name} at snapshot {one.snapshot}" for one in found.read],
        cut=found.cut,
        next="Aggregate, filter or select fewer columns to see all of it." if found.cut else "",
    )


class TableHistory(Input):
    """Which snapshots."""

    table: Name
    environment: Where = None
    ref: str | None = None
    before: SnapshotText | None = Field(None, description="snapshot to continue behind")
    limit: int = Field(20, ge=1, le=50)


class SnapshotShort(BaseModel):
    """A snapshot."""

    snapshot_id: SnapshotId
    at: datetime
    operation: str | None
    rows: int | None
    added_rows: int | None
    deleted_rows: int | None
    refs: list[str]


class HistoryAnswer(Answer):
    """Snapshots, newest first; `before` is what to ask next with."""

    snapshots: list[SnapshotShort]
    before: str | None = None


@tool(Toolset.TABLES, also=(Toolset.DRLS1,))
def table_history(call: ToolCall, given: TableHistory) -> HistoryAnswer:
    """List a table's snapshots, newest first, with their rows, branches and tags."""
    found = call.lifecycle.ask(
        tables.history,
        {
            "name": given.table,
            "environment": given.environment,
            "ref": given.ref,
            "before": None if given.before is None else int(given.before),
            "limit": given.limit + 1,
        },
    )
    rows = [
        SnapshotShort(
            snapshot_id=one.snapshot,
            at=one.at,
            operation=one.operation,
            rows=one.rows,
            added_rows=one.added_rows,
            deleted_rows=one.deleted_rows,
            refs=[short(ref, 100) for ref in one.refs[:10]],
        )
        for one in found
    ]
    page, before = fit(rows, given.limit, lambda one: str(one.snapshot_id))
    return HistoryAnswer(
        snapshots=list(page),
        before=before,
        next=f"See older ones with before={before}." if before else "Show rows of one with preview_table and snapshot.",
    )


def _values(
    call: ToolCall, given: GetTable, columns: Sequence[ColumnFacts], rows: int | None
) -> tuple[dict[str, str], list[str]]:
    """By column, what is in it, and what was read for that; nested fields have no statistics of their own."""
    names = tuple(one.name for one in columns if not one.nested)
    if not names:
        return {}, []
    found = call.lifecycle.tables.statistics(
        given.table,
        environment=given.environment,
        columns=names,
        top=3,
        seconds=_STATISTICS_SECONDS,
        text=60,
        quick=(rows or 0) > _SCANNED_ROWS,
    )
    read = found.cut or f"all {found.rows} rows"
    told = "the files' metadata; no row was read" if found.read_from is ReadFrom.METADATA else read
    return {one.name: _in_words(one) for one in found.columns}, [f"statistics of {told}"]


def _column(one: ColumnFacts, values: str | None) -> str:
    parts = [f"{short(one.name, 120)}: {short(one.type, 120)}{'' if one.nullable else ', required'}"]
    parts += [short(one.doc, 150)] if one.doc else []
    parts += [values] if values else []
    return "; ".join(parts)


def _in_words(one: ColumnStatistics) -> str:
    parts = [f"{one.nulls} nulls"]
    parts += [f"{one.nans} NaN"] if one.nans else []
    parts += [f"{one.min} to {one.max}"] if one.min is not None else []
    parts += [f"about {one.distinct} distinct"] if one.distinct is not None else []
    parts += ["top: " + ", ".join(f"{each.value} ({each.rows})" for each in one.top)] if one.top else []
    return short("; ".join(parts), 250)


def _header(columns: list[tuple[str, str]]) -> list[str]:
    names = [f"{short(name, 120)}: {short(kind, 80)}" for name, kind in columns]
    if size(names) > _HEADER:
        raise ToolError(f"{len(names)} columns are too many for one answer", hint="name fewer columns")
    return names


def _fitting(rows: tuple[tuple[Any, ...], ...]) -> list[list[Any]]:
    """The first row comes whatever its size; here it must fit."""
    if rows and size(rows[:1]) > _ROOM:
        raise ToolError("one row is too long for an answer", hint="name fewer columns, or shorten them with left()")
    return [list(row) for row in rows]


def _fitting_texts(texts: Sequence[str]) -> list[str]:
    kept: list[str] = []
    used = 0
    for one in texts:
        used += size(one) + 1
        if kept and used > _ROOM:
            break
        kept.append(one)
    return kept


def _use(one: TableUse) -> str:
    where = ", ".join(environment.value for environment in one.active_in)
    return f"{one.pipeline} v{one.version} ({where or 'newest, not active'})"


def _heads(found: TableDetail) -> list[str]:
    return [
        f"{one.environment.value}: {one.table} at {one.ref}, "
        + (f"snapshot {one.snapshot}, {one.rows} rows" if one.snapshot is not None else "nothing yet")
        for one in found.heads
    ]


def _refs(found: TableDetail) -> list[str]:
    shown = [f"{one.type} {short(one.name, 100)}: {one.snapshot}" for one in found.refs[:30]]
    more = found.refs_total - len(shown)
    return [*shown, f"and {more} more"] if more > 0 else shown
