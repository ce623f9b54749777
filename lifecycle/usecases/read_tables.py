"""Read tables: each function checks first who may see the table, then asks the catalog, in no transaction."""

from __future__ import annotations

from collections.abc import Sequence

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen
from lifecycle.domain.people import Actor
from lifecycle.domain.roles import Role
from lifecycle.domain.table_files import FilesAsked, TableFiles
from lifecycle.domain.tables import (
    EVERY_COLUMN,
    ChangesAsked,
    ColumnPage,
    Point,
    QueryEngine,
    QueryRows,
    ReadLimits,
    SchemaFacts,
    SnapshotRow,
    StatisticsAsked,
    TableAt,
    TableChanges,
    TableDescription,
    TableRows,
    TableStatistics,
    TableSummary,
)
from lifecycle.errors import Invalid
from lifecycle.usecases.browse_tables import browse
from lifecycle.usecases.context import Context
from lifecycle.usecases.parts.access import require_somewhere
from lifecycle.usecases.parts.visible_tables import SeenTables, Use, real_name, seen_tables


class TableInfo(TableSummary):
    """A table of the list. `written_by`: the pipelines that write it, as far as the caller sees them."""

    written_by: tuple[str, ...] = ()


class TableUse(Frozen):
    """A version of a pipeline that writes or reads the table. `active_in` is empty for one that is only the newest."""

    pipeline: str
    version: int
    active_in: tuple[Environment, ...]


class TableDetail(TableDescription):
    """A table with the pipelines that write and read it, as far as the caller sees them."""

    written_by: tuple[TableUse, ...] = ()
    read_by: tuple[TableUse, ...] = ()


def list_tables(
    ctx: Context,
    actor: Actor,
    *,
    namespace: str,
    search: str,
    after: str,
    limit: int,
    environment: Environment | None = None,
) -> tuple[Sequence[TableInfo], str | None]:
    """Tables by name, behind `after`, and the name to continue behind. Tables below a namespace belong to it."""
    browsed = browse(ctx, actor, namespace=namespace, search=search, environment=environment)
    names = [name for name in browsed.names if name > after]
    page = names[:limit]
    found = [
        TableInfo(**dict(one), written_by=browsed.seen.writers(one.name))
        for one in ctx.tables.summaries(page, environment)
    ]
    return found, page[-1] if len(names) > limit else None


def show_table(ctx: Context, actor: Actor, table: TableAt) -> TableDetail:
    """Raises NotFound for a table that is not there, or that the caller may not see."""
    seen = _seen(ctx, actor)
    seen.require(table.name)
    uses = seen.of(table.name)
    found = ctx.tables.describe(table, real_name(table.name) if uses else None)
    return TableDetail(
        **dict(found),
        written_by=tuple(_shown(use) for use in uses if use.writes),
        read_by=tuple(_shown(use) for use in uses if not use.writes),
    )


def table_schema(ctx: Context, actor: Actor, table: TableAt, *, search: str, after: int, limit: int) -> SchemaFacts:
    _require(ctx, actor, table)
    return ctx.tables.schema(table, search=search, after=after, limit=limit)


def table_history(
    ctx: Context, actor: Actor, table: TableAt, *, ref: str | None, before: int | None, limit: int
) -> tuple[Sequence[SnapshotRow], bool]:
    """Snapshots, newest first, and whether there are more."""
    _require(ctx, actor, table)
    return ctx.tables.history(table, ref, before, limit)


def preview_table(
    ctx: Context,
    actor: Actor,
    table: TableAt,
    point: Point,
    columns: Sequence[str],
    limits: ReadLimits,
    page: ColumnPage = EVERY_COLUMN,
) -> TableRows:
    _one_point(point)
    _require(ctx, actor, table)
    return ctx.tables.preview(table, point, columns, limits, page)


def query_tables(
    ctx: Context,
    actor: Actor,
    sql: str,
    *,
    environment: Environment | None,
    ref: str | None,
    limits: ReadLimits,
    engine: QueryEngine = QueryEngine.DUCKDB,
) -> QueryRows:
    """Raises NotFound for a query that names a table which the caller may not see, before anything is read.

    Spark runs in the engine that pipelines need, and answers those who may start runs.
    """
    if engine is QueryEngine.SPARK:
        with ctx.store.read() as view:
            require_somewhere(view, actor, Role.DATA_ENGINEER, "a query in Spark")
    seen = _seen(ctx, actor, uses=False)
    return ctx.tables.query(sql, seen.require, environment, ref, limits, engine)


def table_statistics(
    ctx: Context, actor: Actor, table: TableAt, point: Point, asked: StatisticsAsked, limits: ReadLimits
) -> TableStatistics:
    _one_point(point)
    _require(ctx, actor, table)
    return ctx.tables.statistics(table, point, asked, limits)


def table_files(ctx: Context, actor: Actor, table: TableAt, point: Point, asked: FilesAsked) -> TableFiles:
    _one_point(point)
    _require(ctx, actor, table)
    return ctx.tables.files(table, point, asked)


def table_changes(ctx: Context, actor: Actor, table: TableAt, asked: ChangesAsked, limits: ReadLimits) -> TableChanges:
    if asked.until is not None and asked.ref is not None:
        raise Invalid("name one end: a snapshot (until) or a ref")
    _require(ctx, actor, table)
    return ctx.tables.changes(table, asked, limits)


def _seen(ctx: Context, actor: Actor, *, uses: bool = True) -> SeenTables:
    with ctx.store.read() as view:
        return seen_tables(view, actor, uses=uses)


def _require(ctx: Context, actor: Actor, table: TableAt) -> None:
    _seen(ctx, actor, uses=False).require(table.name)


def _one_point(point: Point) -> None:
    if sum(one is not None for one in (point.snapshot, point.ref, point.at)) > 1:
        raise Invalid("name one state to read: a snapshot, a ref or a time")


def _shown(use: Use) -> TableUse:
    return TableUse(pipeline=use.pipeline, version=use.version, active_in=use.active_in)
