"""Tables as people and agents read them: what is in the catalog, and values as JSON has them.

A value is null, true or false, a number that JSON carries exactly, or text: a larger whole number, a decimal, a date or
time in ISO 8601, bytes in hexadecimal, `nan`, `inf` and `-inf`. Lists, structs and maps hold the same. Text that was
cut ends in `… (N characters)`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen, SnapshotId


class TableAt(Frozen):
    """A table by its exact name, or with `environment` by the name that a pipeline uses there."""

    name: str
    environment: Environment | None = None


class Point(Frozen):
    """Which state to read: of a snapshot, a branch or tag, or a time; without any, the environment's newest."""

    snapshot: SnapshotId | None = None
    ref: str | None = None
    at: datetime | None = None


class ReadLimits(Frozen):
    """What one read may answer and cost. `rows` are those of the answer. Text longer than `text` characters is cut."""

    rows: int
    bytes: int
    seconds: float
    text: int


class QueryEngine(StrEnum):
    """What answers a query: DuckDB, in a process of its own, or Spark, on the engine that runs pipelines."""

    DUCKDB = "duckdb"
    SPARK = "spark"


class TableSummary(Frozen):
    """A table and the head of its `main`: the snapshot's own totals, null where its writer recorded none.

    `rows` includes rows that delete files hide. A table whose metadata cannot be read has only an `error`.
    With an environment, `table` and `ref` are what it reads for `name`, and the totals are those of that.
    """

    name: str
    table: str | None = None
    ref: str | None = None
    rows: int | None = None
    snapshot: SnapshotId | None = None
    data_files: int | None = None
    bytes: int | None = None
    updated_at: datetime | None = None
    format_version: int | None = None
    branches: tuple[str, ...] = ()
    location: str | None = None
    error: str | None = None


class ColumnFacts(Frozen):
    """A column, or (`nested`) a field in one: `name` is its whole path, such as `address.city` or `tags.element`."""

    id: int
    name: str
    type: str
    nullable: bool
    nested: bool = False
    doc: str | None = None


class SchemaFacts(Frozen):
    """The columns of a table, nested fields below their own, in pages; `after` of the next page, or null."""

    name: str
    schema_id: int
    columns: tuple[ColumnFacts, ...]
    total: int
    partition_by: tuple[str, ...]
    sort_by: tuple[str, ...]
    next: int | None = None


class RefFacts(Frozen):
    """A branch or tag."""

    name: str
    type: str
    snapshot: SnapshotId


class HeadFacts(Frozen):
    """What an environment reads: `table` at `ref`. `snapshot` is null where there is nothing yet."""

    environment: Environment
    table: str
    ref: str
    snapshot: SnapshotId | None
    rows: int | None = None
    updated_at: datetime | None = None


class TableDescription(Frozen):
    """A table, without its columns. `refs` are the first ones by name; `refs_total` counts all."""

    name: str
    uuid: str
    location: str
    format_version: int
    columns: int
    partition_by: tuple[str, ...]
    sort_by: tuple[str, ...]
    properties: dict[str, str]
    refs: tuple[RefFacts, ...]
    refs_total: int
    snapshots: int
    rows: int | None
    data_files: int | None
    bytes: int | None
    updated_at: datetime | None
    heads: tuple[HeadFacts, ...] = ()


class SnapshotRow(Frozen):
    """A snapshot with its own totals; `refs` are the branches and tags at it."""

    snapshot: SnapshotId
    parent: SnapshotId | None
    at: datetime
    operation: str | None
    rows: int | None
    added_rows: int | None
    deleted_rows: int | None
    data_files: int | None
    bytes: int | None
    schema_id: int | None
    refs: tuple[str, ...] = ()
    run: str | None = None


class ColumnPage(Frozen):
    """`most` columns from the position `after`, where none are named."""

    after: int = 0
    most: int = 10_000


EVERY_COLUMN = ColumnPage()


class ColumnShown(Frozen):
    """A column of an answer."""

    name: str
    type: str


class TableRows(Frozen):
    """Rows, each with a value for each column. `cut` says why rows are missing; empty when none are.

    `snapshot` null: the table has none yet. `values_cut` counts values whose text was shortened. `next`: `after` of
    the next columns, or null.
    """

    name: str
    snapshot: SnapshotId | None
    columns: tuple[ColumnShown, ...]
    rows: tuple[tuple[Any, ...], ...]
    cut: str = ""
    values_cut: int = 0
    columns_total: int = 0
    next: int | None = None


class ReadTable(Frozen):
    """A table that a query read, at the snapshot it was pinned to; null: it has none yet."""

    name: str
    snapshot: SnapshotId | None


class QueryRows(Frozen):
    """What a query answers, and the snapshots that it read. `cut` says why rows are missing; empty when none are."""

    columns: tuple[ColumnShown, ...]
    rows: tuple[tuple[Any, ...], ...]
    read: tuple[ReadTable, ...]
    cut: str = ""
    values_cut: int = 0


class StatisticsAsked(Frozen):
    """Of the named columns, else of `most` from the position `after`; with the `top` most frequent values.

    `quick`: what the metadata of files says is enough, so that rows need not be read.
    """

    columns: tuple[str, ...]
    after: int
    most: int
    top: int
    quick: bool = False


class TopValue(Frozen):
    """A value and how many rows have it."""

    value: Any
    rows: int


class ColumnStatistics(Frozen):
    """What is in a column. Null where it does not apply: `nans` to other types than floats, `min` to nested ones.

    `min` and `max` leave NaN out. `distinct` is an estimate, within a few percent.
    """

    name: str
    type: str
    nulls: int
    nans: int | None = None
    min: Any = None
    max: Any = None
    distinct: int | None = None
    top: tuple[TopValue, ...] = ()


class ReadFrom(StrEnum):
    """What statistics were made of: the rows, or what the metadata of files says of them."""

    ROWS = "rows"
    METADATA = "metadata"


class TableStatistics(Frozen):
    """Column statistics of all `rows` of a snapshot, or of the first `rows` where `cut` says so."""

    name: str
    snapshot: SnapshotId | None
    rows: int
    columns: tuple[ColumnStatistics, ...]
    columns_total: int
    read_from: ReadFrom = ReadFrom.ROWS
    cut: str = ""
    next: int | None = None


class ChangesAsked(Frozen):
    """Changes behind the snapshot `since` (None: from the table's first on) up to `until`, without the first `skip`.

    `until` None: up to the head of `ref`, or of what the environment reads. `keys` identify a row.
    """

    since: SnapshotId | None = None
    until: SnapshotId | None = None
    ref: str | None = None
    keys: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    skip: int = 0


class NextChanges(Frozen):
    """Where more changes begin: behind the snapshot `since`, and `skip` changes further."""

    since: SnapshotId | None
    skip: int


class TableChanges(Frozen):
    """Rows that were inserted, deleted or updated, oldest first. `cut` says why some are missing; empty when none are.

    The last columns say what happened to a row (`_change_type`), and at which snapshot. `until` is where reading on
    begins once there is no `next`; null: the table has no snapshot yet.
    """

    name: str
    since: SnapshotId | None
    until: SnapshotId | None
    columns: tuple[ColumnShown, ...]
    rows: tuple[tuple[Any, ...], ...]
    cut: str = ""
    values_cut: int = 0
    next: NextChanges | None = None
