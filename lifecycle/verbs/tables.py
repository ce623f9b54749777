"""Tables: what is in the catalog, as far as the caller may see it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from annotated_types import Ge, Le, MaxLen
from pydantic import AwareDatetime, StringConstraints

from lifecycle.domain.environment import Environment
from lifecycle.domain.table_files import FileOrder, FilesAsked, TableFiles
from lifecycle.domain.table_health import HealthLook, HealthReport, TableHealth
from lifecycle.domain.tables import (
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
    TableRows,
    TableStatistics,
)
from lifecycle.usecases import read_tables, table_health
from lifecycle.usecases.read_tables import TableDetail, TableInfo
from lifecycle.verbs.answers import Page
from lifecycle.verbs.inputs import InQuery, Limit, SeenName, ShortText
from lifecycle.verbs.verb import Call, answers, lists

Sql = Annotated[str, StringConstraints(min_length=1, max_length=100_000, pattern=r"^[^\x00]*$")]
SeenText = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]
SnapshotNumber = Annotated[int, Ge(0), Le(2**63 - 1)]
Columns = Annotated[tuple[SeenName, ...], MaxLen(200), InQuery("column")]
Rows = Annotated[int, Ge(1), Le(10_000)]
MostBytes = Annotated[int, Ge(1_000), Le(20_000_000)]
MostText = Annotated[int, Ge(10), Le(100_000)]
Seconds = Annotated[float, Ge(0.1), Le(600)]
# Where a page of a list by score ends: the score and the name.
Place = Annotated[str, StringConstraints(max_length=520, pattern=r"^[^\x00]*$")]
Position = Annotated[int, Ge(0), Le(1_000_000)]
FilePosition = Annotated[int, Ge(0), Le(1_000_000_000)]
BYTES = 2_000_000
TEXT = 1_000


@lists(TableInfo)
def list_tables(
    call: Call,
    *,
    namespace: ShortText = "",
    search: ShortText = "",
    environment: Environment | None = None,
    after: SeenText = "",
    limit: Limit = 100,
) -> Page[TableInfo]:
    """Tables by name that the caller may see, with the totals of their `main`.

    With `environment`, names are those that pipelines use, and the totals those of what it reads.
    """
    found, following = read_tables.list_tables(
        call.ctx, call.who, namespace=namespace, search=search, after=after, limit=limit, environment=environment
    )
    return Page(items=list(found), next=following)


@answers(TableDetail)
def show(call: Call, name: SeenName, *, environment: Environment | None = None) -> TableDetail:
    """A table: layout, properties, refs, sizes, what each environment reads, and which pipelines use it.

    With `environment`, `name` is the one that pipelines use.
    """
    return read_tables.show_table(call.ctx, call.who, TableAt(name=name, environment=environment))


@answers(SchemaFacts)
def schema(
    call: Call,
    name: SeenName,
    *,
    environment: Environment | None = None,
    search: ShortText = "",
    after: Position = 0,
    most: Annotated[int, Ge(1), Le(10_000)] = 1_000,
) -> SchemaFacts:
    """Columns with nested fields and docs; `search` finds some by name."""
    at = TableAt(name=name, environment=environment)
    return read_tables.table_schema(call.ctx, call.who, at, search=search, after=after, limit=most)


@lists(SnapshotRow)
def history(
    call: Call,
    name: SeenName,
    *,
    environment: Environment | None = None,
    ref: ShortText | None = None,
    before: SnapshotNumber | None = None,
    limit: Limit = 100,
) -> Page[SnapshotRow]:
    """Snapshots, newest first; with `ref`, only those of a branch or tag. `before` (a snapshot) pages on."""
    at = TableAt(name=name, environment=environment)
    found, more = read_tables.table_history(call.ctx, call.who, at, ref=ref, before=before, limit=limit)
    return Page(items=list(found), next=str(found[-1].snapshot) if more and found else None)


@answers(TableRows)
def preview(
    call: Call,
    name: SeenName,
    *,
    environment: Environment | None = None,
    ref: ShortText | None = None,
    snapshot: SnapshotNumber | None = None,
    at: AwareDatetime | None = None,
    columns: Columns = (),
    rows: Rows = 20,
    most_bytes: MostBytes = BYTES,
    text: MostText = TEXT,
    after: Position = 0,
    most: Annotated[int, Ge(1), Le(10_000)] = 10_000,
) -> TableRows:
    """The first rows of a table, of a branch or tag (`ref`), a snapshot, or as it was at a time.

    Of the named columns, else of `most` from the position `after`.
    """
    return read_tables.preview_table(
        call.ctx,
        call.who,
        TableAt(name=name, environment=environment),
        _point(snapshot, ref, at),
        columns,
        ReadLimits(rows=rows, bytes=most_bytes, seconds=60, text=text),
        ColumnPage(after=after, most=most),
    )


@answers(QueryRows)
def query(
    call: Call,
    sql: Sql,
    *,
    environment: Environment | None = None,
    ref: ShortText | None = None,
    rows: Rows = 1_000,
    seconds: Seconds = 30,
    most_bytes: MostBytes = BYTES,
    text: MostText = TEXT,
    engine: QueryEngine = QueryEngine.DUCKDB,
) -> QueryRows:
    """The answer to one SELECT over tables (`namespace.table`) at pinned snapshots; changes nothing.

    With `environment`, names are those that pipelines use; `ref` reads that branch or tag of every table. The SQL is
    DuckDB's; with `engine` spark it is Spark's, for who may start runs, and the engine must be running.
    """
    limits = ReadLimits(rows=rows, bytes=most_bytes, seconds=seconds, text=text)
    return read_tables.query_tables(
        call.ctx, call.who, sql, environment=environment, ref=ref, limits=limits, engine=engine
    )


@answers(TableStatistics)
def statistics(
    call: Call,
    name: SeenName,
    *,
    environment: Environment | None = None,
    ref: ShortText | None = None,
    snapshot: SnapshotNumber | None = None,
    at: AwareDatetime | None = None,
    columns: Columns = (),
    after: Position = 0,
    top: Annotated[int, Ge(0), Le(50)] = 5,
    seconds: Seconds = 30,
    most: Annotated[int, Ge(1), Le(1_000)] = 100,
    text: MostText = 200,
    quick: bool = False,
) -> TableStatistics:
    """Nulls, NaNs, smallest, largest, distinct and most frequent values of columns; reads at most 5 million rows.

    `quick` leaves out the last two and, where the metadata of files counts nulls, what it does not say exactly, such as
    the smallest text: then no row is read, and `read_from` says so.
    """
    return read_tables.table_statistics(
        call.ctx,
        call.who,
        TableAt(name=name, environment=environment),
        _point(snapshot, ref, at),
        StatisticsAsked(columns=columns, after=after, most=most, top=top, quick=quick),
        ReadLimits(rows=most, bytes=BYTES, seconds=seconds, text=text),
    )


@answers(TableFiles)
def files(
    call: Call,
    name: SeenName,
    *,
    environment: Environment | None = None,
    ref: ShortText | None = None,
    snapshot: SnapshotNumber | None = None,
    at: AwareDatetime | None = None,
    order: FileOrder = FileOrder.LARGEST,
    after: FilePosition = 0,
    most: Annotated[int, Ge(1), Le(1_000)] = 100,
    partitions: Annotated[int, Ge(0), Le(10_000)] = 100,
) -> TableFiles:
    """Data and delete files: sizes, partitions with their files and rows (largest first), and each file in pages."""
    return read_tables.table_files(
        call.ctx,
        call.who,
        TableAt(name=name, environment=environment),
        _point(snapshot, ref, at),
        FilesAsked(order=order, after=after, most=most, partitions=partitions),
    )


@answers(TableChanges)
def changes(
    call: Call,
    name: SeenName,
    *,
    environment: Environment | None = None,
    since: SnapshotNumber | None = None,
    until: SnapshotNumber | None = None,
    ref: ShortText | None = None,
    keys: Annotated[tuple[SeenName, ...], MaxLen(20), InQuery("key")] = (),
    columns: Columns = (),
    skip: Annotated[int, Ge(0), Le(100_000_000)] = 0,
    rows: Rows = 100,
    seconds: Seconds = 30,
    most_bytes: MostBytes = BYTES,
    text: MostText = TEXT,
) -> TableChanges:
    """Rows inserted, deleted and, with `key`, updated behind the snapshot `since` up to `until` or the head of `ref`.

    Rows that were only rewritten, as by a compaction, are no change. `next` of the answer pages on.
    """
    return read_tables.table_changes(
        call.ctx,
        call.who,
        TableAt(name=name, environment=environment),
        ChangesAsked(since=since, until=until, ref=ref, keys=keys, columns=columns, skip=skip),
        ReadLimits(rows=rows, bytes=most_bytes, seconds=seconds, text=text),
    )


@answers(HealthReport)
def health(
    call: Call, name: SeenName, *, environment: Environment | None = None, orphans: bool = False
) -> HealthReport:
    """How well a table is kept, 0 to 100: what costs points, what that costs in time and money, and what to do.

    `orphans` also counts files that nothing needs, which takes longer: it lists the table's folder.
    """
    at = TableAt(name=name, environment=environment)
    return table_health.table_health(call.ctx, call.who, at, orphans=orphans)


@lists(TableHealth)
def fleet(
    call: Call,
    *,
    namespace: ShortText = "",
    environment: Environment | None = None,
    search: ShortText = "",
    below: Annotated[int, Ge(0), Le(101)] = 101,
    after: Place = "",
    limit: Limit = 100,
) -> Page[TableHealth]:
    """The health of all tables that the caller may see, worst first; `below`: only those with a lower score.

    With `environment`, only its own tables: those of `<namespace>__development` and the like, all others in production.
    """
    found, following = table_health.fleet_health(
        call.ctx,
        call.who,
        table_health.Which(namespace=namespace, environment=environment, search=search, below=below),
        after=after,
        limit=limit,
    )
    return Page(items=list(found), next=following)


@lists(HealthLook)
def health_history(call: Call, name: SeenName, *, before: ShortText = "", limit: Limit = 100) -> Page[HealthLook]:
    """How the score of a table went, newest first: each look that found something else. `before` (a time) pages on."""
    found, more = table_health.score_history(call.ctx, call.who, name, before=before, limit=limit)
    return Page(items=list(found), next=found[-1].at.isoformat() if more and found else None)


def _point(snapshot: int | None, ref: str | None, at: datetime | None) -> Point:
    return Point(snapshot=snapshot, ref=ref, at=at)
