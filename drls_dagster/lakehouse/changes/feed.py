"""The changes of a table as Arrow batches, snapshot by snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from drls_dagster.errors import UsageError
from drls_dagster.lakehouse import refs
from drls_dagster.lakehouse.changes.cancel import ADDED, REMOVED, Cancelling, chosen
from drls_dagster.lakehouse.changes.files import FileChanges, file_changes
from drls_dagster.lakehouse.changes.steps import Step, plan_steps
from drls_dagster.lakehouse.diff.scratch import scratch
from drls_dagster.lakehouse.diff.staging import opened
from drls_dagster.lakehouse.naming import MAIN
from lifecycle.domain.evolution import told

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.types import IcebergType

INSERT, DELETE, BEFORE, AFTER = "insert", "delete", "update_before", "update_after"
CHANGE, SNAPSHOT, ORDINAL, AT = "_change_type", "_snapshot_id", "_snapshot_ordinal", "_committed_at"
BATCH_BYTES = 32_000_000
MEMORY = "256MB"


def read_changes(
    table: Table,
    from_snapshot: int | None = None,
    to_snapshot: int | None = None,
    *,
    ref: str = MAIN,
    keys: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    batch_bytes: int = BATCH_BYTES,
    memory: str = MEMORY,
) -> pa.RecordBatchReader:
    """The rows that changed from behind `from_snapshot` (None: from the first on) up to `to_snapshot`, oldest first.

    As `change_feed`; raises what that raises.
    """
    feed = change_feed(
        table, from_snapshot, to_snapshot, ref=ref, keys=keys, columns=columns, batch_bytes=batch_bytes, memory=memory
    )
    return feed.reader()


def change_feed(
    table: Table,
    from_snapshot: int | None = None,
    to_snapshot: int | None = None,
    *,
    ref: str = MAIN,
    keys: Sequence[str] = (),
    columns: Sequence[str] | None = None,
    batch_bytes: int = BATCH_BYTES,
    memory: str = MEMORY,
) -> Feed:
    """The way from one snapshot to another; `to_snapshot` is the head of `ref` if it is not given.

    Only the `columns` count: an update of others is no change. With `keys`, an update is a row before and a row after.
    Raises ChangesUnreadable where snapshots have expired or cannot be followed, UsageError for unknown names.
    """
    if from_snapshot is None and to_snapshot is None and ref != MAIN and ref not in table.metadata.refs:
        raise UsageError(f"{'.'.join(table.name())} has no ref {ref!r}; it has: {told(sorted(table.metadata.refs))}")
    if batch_bytes < 1:
        raise UsageError("batch_bytes must be at least 1")
    end = to_snapshot if to_snapshot is not None else refs.head(table, ref)
    steps = plan_steps(table, from_snapshot, end)
    return Feed(table, steps, _schema(table, end, keys, columns), tuple(keys), batch_bytes, memory, end)


@dataclass(frozen=True)
class Feed:
    """Changes that can be read, more than once. `end` is where reading them gets to: continue from there."""

    table: Table
    steps: tuple[Step, ...]
    columns: Schema
    keys: tuple[str, ...]
    batch_bytes: int
    memory: str
    end: int | None

    @cached_property
    def schema(self) -> pa.Schema:
        """The table's columns as the newest snapshot has them, then what happened to the row, and when."""
        import pyarrow as pa
        from pyiceberg.io.pyarrow import schema_to_pyarrow

        rows = schema_to_pyarrow(self.columns, include_field_ids=False)
        return pa.schema(
            [
                *(pa.field(one.name, one.type) for one in rows),
                pa.field(CHANGE, pa.string()),
                pa.field(SNAPSHOT, pa.int64()),
                pa.field(ORDINAL, pa.int64()),
                pa.field(AT, pa.timestamp("us", tz="UTC")),
            ]
        )

    def reader(self) -> pa.RecordBatchReader:
        """All changes as one stream."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self.schema, self.batches())

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The changes step by step; within one, rows that go come before rows that come."""
        ordinal = 0
        for step in self.steps:
            if step.rewrites:
                continue
            stamp = _Stamp(self.schema, step, ordinal)
            ordinal += 1
            for what, batch in self._rows(file_changes(self.table, step)):
                yield from _sliced(stamp.on(batch, what), self.batch_bytes)

    def _rows(self, changes: FileChanges) -> Iterator[tuple[str | np.ndarray, pa.RecordBatch]]:
        """Rows with what happened to them: one word for all of them, or one for each."""
        if changes.removed and changes.added:
            yield from self._differing(changes)
            return
        for what, parts in ((DELETE, changes.removed), (INSERT, changes.added)):
            for part in parts:
                for batch in part.batches(self.table, self.columns):
                    yield what, batch

    def _differing(self, changes: FileChanges) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        sides = ((REMOVED, changes.removed, DELETE, BEFORE), (ADDED, changes.added, INSERT, AFTER))
        with ExitStack() as stack:
            database: duckdb.DuckDBPyConnection = stack.enter_context(
                opened(stack.enter_context(scratch()), self.memory)
            )
            rows = Cancelling(database, self.columns, self.keys)
            for side, parts, _, _ in sides:
                for number, part in enumerate(parts):
                    at = 0
                    for batch in part.batches(self.table, self.columns):
                        rows.add(side, number, at, batch)
                        at += batch.num_rows
            rows.cancel()
            for side, parts, alone, paired in sides:
                for number, part in enumerate(parts):
                    places, updates = rows.left(side, number)
                    if not len(places):
                        continue
                    for batch, piece in chosen(part.batches(self.table, self.columns), places):
                        yield np.where(updates[piece], paired, alone), batch


@dataclass(frozen=True)
class _Stamp:
    """What one step says of its rows."""

    schema: pa.Schema
    step: Step
    ordinal: int

    def on(self, batch: pa.RecordBatch, what: str | np.ndarray) -> pa.RecordBatch:
        import pyarrow as pa

        rows, after = batch.num_rows, self.step.after
        own = [
            column if column.type == field.type else column.cast(field.type)
            for column, field in zip(batch.columns, self.schema, strict=False)
        ]
        said: tuple[object, ...] = (
            after.snapshot_id if after is not None else None,
            self.ordinal,
            after.timestamp_ms * 1000 if after is not None else None,
        )
        words = pa.repeat(what, rows) if isinstance(what, str) else pa.array(what, pa.string())
        stamps = [
            pa.repeat(pa.scalar(value, field.type), rows)
            for value, field in zip(said, list(self.schema)[-3:], strict=True)
        ]
        return pa.RecordBatch.from_arrays([*own, words, *stamps], schema=self.schema)


def _sliced(batch: pa.RecordBatch, most: int) -> Iterator[pa.RecordBatch]:
    """Pieces of about `most` bytes, of one row at least."""
    if not batch.num_rows:
        return
    rows = max(int(batch.num_rows * most / max(batch.nbytes, 1)), 1)
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _schema(table: Table, end: int | None, keys: Sequence[str], columns: Sequence[str] | None) -> Schema:
    """The columns as the newest snapshot's writer left them. Raises UsageError for names that are not among them."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField, PrimitiveType

    there = {column.name: column for column in refs.schema_at(table, end).columns}
    wanted = list(there) if columns is None else list(dict.fromkeys((*columns, *keys)))
    name = ".".join(table.name())
    for one in (*wanted, *keys):
        if one not in there:
            raise UsageError(f"{name} has no column {one!r}; it has: {told(list(there))}")
    for one in keys:
        if not isinstance(there[one].field_type, PrimitiveType):
            raise UsageError(f"the column '{one}' of {name} holds {_kind(there[one].field_type)}, which is no key")
    taken = [one for one in wanted if one in (CHANGE, SNAPSHOT, ORDINAL, AT)]
    if taken:
        raise UsageError(f"{name} has a column '{taken[0]}', as the change feed has; leave it out with `columns`")
    if not wanted:
        raise UsageError("name at least one column")
    picked = (there[one] for one in wanted)
    return Schema(*(NestedField(one.field_id, one.name, one.field_type, required=False) for one in picked))


def _kind(kind: IcebergType) -> str:
    return str(kind).partition("<")[0]
