"""A comparison from beginning to end: which files, into the database, rows, statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyiceberg.schema import Schema

from drls_dagster.lakehouse.diff.columns import (
    Column,
    common_schema,
    key_columns,
    match,
    read_schema,
    schema_changes,
)
from drls_dagster.lakehouse.diff.files import FilePlan, Files, plan_files, sampled
from drls_dagster.lakehouse.diff.reading import read_batches
from drls_dagster.lakehouse.diff.rows import RowComparison
from drls_dagster.lakehouse.diff.scratch import scratch
from drls_dagster.lakehouse.diff.staging import Staging, opened
from drls_dagster.lakehouse.diff.statistics import EXACT_VALUES, side_statistics
from drls_dagster.lakehouse.diff.version import Version
from drls_dagster.lakehouse.diff.watched import Watched
from lifecycle.domain.data_diff import (
    ColumnDiff,
    DataDiff,
    DiffLimits,
    DiffStep,
    RowKey,
    SnapshotShown,
    Statistics,
    Watch,
)

if TYPE_CHECKING:
    from pyiceberg.table import FileScanTask


def compare(
    table: str,
    before: Version,
    after: Version,
    keys: Sequence[RowKey],
    limits: DiffLimits,
    watch: Watch,
    *,
    memory: str,
) -> DataDiff:
    """What differs between two versions of a table. Leaves nothing behind, not even when it is ended."""
    by_id = before.is_of(after)
    old, new = before.schema or after.schema or Schema(), after.schema or before.schema or Schema()
    # A side that is not there has no columns of its own that could differ.
    columns = match(old, new, by_id=by_id or before.schema is None or after.schema is None)
    with scratch() as folder, Watched(watch, limits.seconds) as watched:
        plan = plan_files(before.tasks(), after.tasks())
        return _Comparison(table, before, after, columns, by_id, plan, keys, limits, watched).run(folder, memory)


class _Comparison:
    """Everything that one comparison works with."""

    def __init__(
        self,
        table: str,
        before: Version,
        after: Version,
        columns: tuple[Column, ...],
        by_id: bool,
        plan: FilePlan,
        keys: Sequence[RowKey],
        limits: DiffLimits,
        watched: Watched,
    ) -> None:
        self._table = table
        self._versions = {"before": before, "after": after}
        self._columns = columns
        # Two tables may have no column in common; then every row of one is another than those of the other.
        self._compared = [column for column in columns if column.is_compared] or list(columns)
        self._key = next((key for key in keys if key_columns(columns, key)), None)
        self._keys = key_columns(columns, self._key) if self._key is not None else ()
        self._asked_keys = keys
        self._by_id = by_id
        self._plan = plan
        self._limits = limits
        self._watched = watched
        self._fraction = plan.fraction(limits)
        self._counted = plan.statistics_fraction(limits)

    def run(self, folder: Path, memory: str) -> DataDiff:
        """Reads, compares and counts, with a database in `folder` that takes at most `memory`."""
        if not self._compared:
            return self._nothing()
        same = list(sampled(self._plan.same, self._counted))
        self._watched.now(DiffStep.READING, of=len(self._plan.before) + len(self._plan.after) + len(same))
        with opened(folder, memory) as database, self._watched.interrupting(database):
            matched = self._keys or self._compared
            staging = Staging(database, self._columns, matched, common_schema(self._columns))
            read = {side: self._stage(staging, side, files) for side, files in self._sides().items()}
            staged = self._stage_same(staging, same)
            self._watched.now(DiffStep.COMPARING)
            comparison = RowComparison(database, self._compared, self._keys, self._limits)
            found = comparison.run()
            exact = (sum(read.values()) + staged) * len(self._columns) <= EXACT_VALUES
            sides = {
                side: side_statistics(database, side, self._columns, exact=exact, text=self._limits.text)
                for side in read
            }
            duplicates = {side: comparison.duplicates(side, whole=self._counted >= 1) for side in read}
        return DataDiff(
            table=self._table,
            before=self._shown("before", read["before"]),
            after=self._shown("after", read["after"]),
            keys=tuple(column.name for column in self._keys),
            matched_by=self._matched_by(),
            added=found.added,
            removed=found.removed,
            changed=found.changed,
            fraction=self._fraction,
            reason=self._reason(),
            duplicates_before=duplicates["before"],
            duplicates_after=duplicates["after"],
            schema_changes=schema_changes(self._columns) if self._are_both_there() else (),
            columns=tuple(self._column(column, sides, found.changed_in) for column in self._columns),
            statistics_fraction=self._counted,
            statistics_note=self._statistics_note(),
            distinct_exact=exact,
            sample_columns=found.sample_columns,
            columns_not_shown=len(self._columns) - len(found.sample_columns),
            added_rows=found.added_rows,
            removed_rows=found.removed_rows,
            changed_rows=found.changed_rows,
            files_read=len(self._plan.before) + len(self._plan.after) + len(same),
            files_same=len(self._plan.same),
        )

    def _sides(self) -> dict[str, Files]:
        return {"before": self._plan.before, "after": self._plan.after}

    def _stage(self, staging: Staging, side: str, files: Files) -> int:
        """Reads a side's own files; how many rows there are in them, also those that a sample leaves out."""
        schema = read_schema(self._columns, of_before=side == "before", by_id=self._by_id or not self._are_both_there())
        table = self._versions[side].table
        rows = 0
        for task in files.tasks:
            assert table is not None  # noqa: S101 (it has files)
            for batch in read_batches(table, task, schema):
                staging.add(side, batch, fraction=self._fraction, counted=self._counted)
                rows += batch.num_rows
                self._watched.read(rows=batch.num_rows)
            self._watched.read(files=1)
        return rows

    def _stage_same(self, staging: Staging, same: Sequence[tuple[FileScanTask, int | None]]) -> int:
        table = self._versions["after"].table
        schema = common_schema(self._columns)
        rows = 0
        for task, wanted in same:
            assert table is not None  # noqa: S101 (it has files)
            left = task.file.record_count if wanted is None else wanted
            for batch in read_batches(table, task, schema):
                staging.add("same", batch.slice(0, left))
                taken = min(left, batch.num_rows)
                rows, left = rows + taken, left - taken
                self._watched.read(rows=taken)
                if left <= 0:
                    break
            self._watched.read(files=1)
        return rows

    def _column(
        self, column: Column, sides: Mapping[str, Mapping[str, Statistics]], changed_in: Mapping[str, int]
    ) -> ColumnDiff:
        return ColumnDiff(
            column=column.name,
            type=column.words,
            before=sides["before"][column.sql] if column.before is not None and self._is_there("before") else None,
            after=sides["after"][column.sql] if column.after is not None and self._is_there("after") else None,
            changed=changed_in.get(column.sql),
        )

    def _shown(self, side: str, read: int) -> SnapshotShown:
        # No row of a file that both sides have is deleted, so its own count is exact.
        files = len(self._sides()[side]) + len(self._plan.same)
        return self._versions[side].shown(read + self._plan.same.rows, files)

    def _is_there(self, side: str) -> bool:
        return self._versions[side].snapshot is not None

    def _are_both_there(self) -> bool:
        return self._is_there("before") and self._is_there("after")

    def _nothing(self) -> DataDiff:
        return DataDiff(
            table=self._table,
            before=self._shown("before", 0),
            after=self._shown("after", 0),
            matched_by="there is nothing to compare: the table has no columns",
            added=0,
            removed=0,
            changed=None,
        )

    def _matched_by(self) -> str:
        common = sum(column.is_compared for column in self._columns)
        if not common:
            return "no row can be matched: the two sides have no column in common"
        where = "; compared on the columns both sides have" if common < len(self._columns) else ""
        if self._key is not None:
            return f"rows are matched by {_listed(self._keys)}: {self._key.because}{where}"
        if not self._asked_keys:
            why = "no unique columns are declared"
        elif len(self._asked_keys) == 1:
            why = f"the key ({', '.join(self._asked_keys[0].columns)}) does not name plain columns of both sides"
        else:
            names = ", ".join(f"({', '.join(key.columns)})" for key in self._asked_keys)
            why = f"none of the keys {names} names plain columns of both sides"
        return f"whole rows are compared, because {why}: a changed row counts as one removed and one added{where}"

    def _reason(self) -> str:
        if self._fraction >= 1:
            return ""
        largest = max(self._plan.before, self._plan.after, key=lambda side: (side.bytes, side.rows))
        what = "key" if self._keys else "row"
        return (
            f"{_percent(self._fraction)} of the rows, the same by {what} on both sides, because the files "
            f"that differ contain {largest.rows:,} rows in {largest.bytes / 1000000.0:,.0f} MB, and at most "
            f"{self._limits.rows:,} rows or {self._limits.bytes / 1000000.0:,.0f} MB per side are compared"
        )

    def _statistics_note(self) -> str:
        if self._counted >= 1:
            return "of all rows"
        return f"of a sample of about {_percent(self._counted)} of the rows"


def _listed(columns: Sequence[Column]) -> str:
    return ", ".join(column.name for column in columns)


def _percent(fraction: float) -> str:
    percent = fraction * 100
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"
