"""What differs between two snapshots of a table: what people look at before they decide about data.

A value is shown as text of bounded length, None is NULL. Rows are compared on the columns that both snapshots have,
by value also where a type became wider: a column that is new or gone changes the schema and no row. They are compared
as a multiset: rows in both snapshots cancel out, however often. With a key, what is left of it exactly once
on each side is a changed row; everything else that is left was added or removed. NULL equals NULL and NaN equals NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Literal

from lifecycle.domain.environment import Environment
from lifecycle.domain.model import Frozen, SnapshotId

REVISION = 3
"""Counts the ways of comparing: what an older one found is not shown for a newer one."""

Text = str | None


class Side(Frozen):
    """A table as `environment` has it at a snapshot; None: there is nothing yet."""

    environment: Environment
    snapshot: SnapshotId | None


class RowKey(Frozen):
    """Columns that tell rows apart, and `because`: whose word that is, as a clause for people."""

    columns: tuple[str, ...]
    because: str


class DiffLimits(Frozen):
    """What one comparison may cost, and how much of it is shown.

    `rows` and `bytes` (of data files) are per side: above, rows are sampled by key. `samples` rows of each kind
    are kept, of at most `sample_columns` columns, values cut to `text` characters. It ends after `seconds`.
    """

    rows: int = 2_000_000
    bytes: int = 500_000_000
    samples: int = 10
    sample_columns: int = 30
    text: int = 200
    seconds: float = 600


class DiffStep(StrEnum):
    """What a comparison is at."""

    WAITING = "waiting"
    PLANNING = "planning"
    READING = "reading"
    COMPARING = "comparing"


class Progress(Frozen):
    """How far a comparison is: data files read of those to read, and the rows in them."""

    step: DiffStep = DiffStep.WAITING
    files: int = 0
    of: int = 0
    rows: int = 0


Watch = Callable[[Progress], None]
"""Called with the progress several times a second, from any thread; what it raises ends the comparison."""


class SnapshotShown(Frozen):
    """One side: its snapshot, when it was written, and how much it holds."""

    environment: Environment
    snapshot: SnapshotId | None
    at: datetime | None = None
    rows: int = 0
    files: int = 0


class SchemaChange(Frozen):
    """A column that is not what it was. `before` and `after` are types, for a renamed one names."""

    kind: Literal["added", "removed", "renamed", "retyped", "required", "optional"]
    column: str
    before: Text = None
    after: Text = None

    @property
    def words(self) -> str:
        """The change as a line for people."""
        match self.kind:
            case "added":
                return f"column {self.column} {self.after} is new"
            case "removed":
                return f"column {self.column} {self.before} is gone"
            case "renamed":
                return f"column {self.before} is now called {self.after}"
            case "retyped":
                return f"column {self.column} was {self.before} and is now {self.after}"
            case "required" | "optional":
                return f"column {self.column} is now {self.kind}"


class Statistics(Frozen):
    """One column on one side; None where a statistic has no meaning for its type. `nans` are no part of the others."""

    nulls: int
    nans: int | None = None
    min: Text = None
    max: Text = None
    mean: float | None = None
    distinct: int | None = None


class ColumnDiff(Frozen):
    """A column on both sides; None on the side that has no such column or is not there at all.

    `changed`: in how many of the changed rows this value is another; None where rows are compared as a whole, for a
    column of the key, and for one that rows are not compared on, because one side has no such column.
    """

    column: str
    type: str
    before: Statistics | None
    after: Statistics | None
    changed: int | None = None

    @property
    def moved(self) -> tuple[str, ...]:
        """The names of the statistics that are not the same on both sides."""
        if self.before is None or self.after is None:
            return ()
        return tuple(
            name for name in Statistics.model_fields if getattr(self.before, name) != getattr(self.after, name)
        )


class RowSample(Frozen):
    """A row that was added or removed, in the order of `DataDiff.sample_columns`; `times`: as often as that."""

    values: tuple[Text, ...]
    times: int = 1


class Cell(Frozen):
    """A value that changed."""

    column: str
    before: Text
    after: Text


class ChangedRow(Frozen):
    """A row of one key on both sides: what changed in it. `more`: changed values that are not shown."""

    key: tuple[Text, ...]
    cells: tuple[Cell, ...]
    more: int = 0


class Duplicates(Frozen):
    """Keys that are no keys: how many occur more than once, and in how many rows a part of the key is NULL."""

    keys: int = 0
    nulls: int = 0


class DataDiff(Frozen):
    """The whole difference.

    `added`, `removed` and `changed` are what was found: all of it when `fraction` is 1, else in that part of the
    rows, for `reason`. `changed` is None where rows are compared as a whole; `matched_by` says how in words, and on
    which columns.
    `statistics_fraction` is the part of the rows that the columns' statistics are of, `statistics_note` says it;
    `distinct_exact`: else counts of distinct values are estimates, within a few percent.
    `files_same`: data files that both sides have, in which nothing can differ.
    """

    format_version: Literal[1] = 1
    table: str
    before: SnapshotShown
    after: SnapshotShown
    keys: tuple[str, ...] = ()
    matched_by: str
    added: int
    removed: int
    changed: int | None
    fraction: float = 1
    reason: str = ""
    duplicates_before: Duplicates | None = None
    duplicates_after: Duplicates | None = None
    schema_changes: tuple[SchemaChange, ...] = ()
    columns: tuple[ColumnDiff, ...] = ()
    statistics_fraction: float = 1
    statistics_note: str = ""
    distinct_exact: bool = True
    sample_columns: tuple[str, ...] = ()
    columns_not_shown: int = 0
    added_rows: tuple[RowSample, ...] = ()
    removed_rows: tuple[RowSample, ...] = ()
    changed_rows: tuple[ChangedRow, ...] = ()
    files_read: int = 0
    files_same: int = 0

    @property
    def is_same(self) -> bool:
        """Whether nothing was found to differ, in rows or columns."""
        return not (self.added or self.removed or self.changed or self.schema_changes)

    def estimated(self, found: int) -> int:
        """What `found` rows in the sample stand for in the table."""
        return found if self.fraction >= 1 else round(found / self.fraction)
