"""Random histories of a table, with the rows that each snapshot must have, kept next to it as Python values."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import count
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import EqualTo, IsNull
from pyiceberg.io.pyarrow import _dataframe_to_data_files
from pyiceberg.table.snapshots import Operation, Summary
from pyiceberg.table.update import AddSnapshotUpdate

from drls_dagster.lakehouse import refs

Row = Mapping[str, Any]
_numbers = count()


class History:
    """A table, and `states`: the rows of each of its snapshots. Nothing is read from the table to know them."""

    def __init__(self, catalog: Catalog, schema: pa.Schema) -> None:
        self.catalog, self.schema = catalog, schema
        catalog.create_namespace_if_not_exists("lab")
        self.table = catalog.create_table(f"lab.history{next(_numbers)}", schema)
        self.states: dict[int | None, list[Row]] = {None: []}
        self.parents: dict[int, int | None] = {}

    def head(self, ref: str = "main") -> int | None:
        return refs.head(self.table.refresh(), ref)

    def append(self, rows: Sequence[Row], ref: str = "main") -> None:
        before = self.head(ref)
        self.table.append(self._arrow(rows), branch=ref)
        self._note(ref, before, [*self.states[before], *rows])

    def delete(self, column: str, value: Any, ref: str = "main") -> None:
        before = self.head(ref)
        left = [row for row in self.states[before] if row[column] != value]
        if len(left) < len(self.states[before]):
            self.table.delete(IsNull(column) if value is None else EqualTo(column, value), branch=ref)
            self._note(ref, before, left)

    def rewrite(self, change: Callable[[Row], Row], ref: str = "main") -> None:
        """Copy-on-write, as Spark does it: one snapshot that replaces every file."""
        before = self.head(ref)
        rows = [change(row) for row in self.states[before]]
        self._replace_files(rows, ref)
        self._note(ref, before, rows)

    def compact(self, ref: str = "main") -> None:
        """The rows in another order in one file, in a snapshot that calls itself `replace`."""
        before = self.head(ref)
        rows = self.states[before][::-1]
        self._replace_files(rows, ref)
        made = self.table.refresh().snapshot_by_id(self.head(ref) or 0)
        assert made is not None
        assert made.summary is not None
        again = made.model_copy(
            update={
                "snapshot_id": self.table.metadata.new_snapshot_id(),
                "parent_snapshot_id": before,
                "sequence_number": self.table.metadata.last_sequence_number + 1,
                "timestamp_ms": self.table.metadata.last_updated_ms + 1,
                "summary": Summary(operation=Operation.REPLACE, **made.summary.additional_properties),
            }
        )
        self.catalog.commit_table(
            self.table, (), (AddSnapshotUpdate(snapshot=again), refs.set_branch(self.table, ref, again.snapshot_id))
        )
        self._note(ref, before, rows)

    def branch(self, name: str) -> None:
        head = self.head()
        if head is not None:
            self.table.manage_snapshots().create_branch(head, name).commit()

    def roll_back(self, steps: int) -> None:
        line = [one.snapshot_id for one in refs.ancestors(self.table.refresh(), self.head())]
        to = line[min(steps, len(line) - 1)]
        self.catalog.commit_table(self.table, (), (refs.set_branch(self.table, "main", to),))

    def _replace_files(self, rows: Sequence[Row], ref: str) -> None:
        tasks = list(self.table.scan(snapshot_id=self.head(ref)).plan_files())
        with self.table.transaction() as transaction:
            made = list(_dataframe_to_data_files(transaction.table_metadata, self._arrow(rows), self.table.io))
            with transaction.update_snapshot(branch=ref).overwrite() as update:
                for task in tasks:
                    update.delete_data_file(task.file)
                for file in made:
                    update.append_data_file(file)

    def _note(self, ref: str, before: int | None, rows: list[Row]) -> None:
        """PyIceberg may make two snapshots of one call; the first one's rows are not known, and it is not kept."""
        head = self.head(ref)
        assert head is not None
        self.states[head] = rows
        self.parents[head] = before

    def _arrow(self, rows: Sequence[Row]) -> pa.Table:
        return pa.Table.from_pylist([dict(row) for row in rows], self.schema)


def exactly(value: Any) -> Hashable:
    """A value that equals another only where both have the same bits; every NaN is the same."""
    if isinstance(value, float):
        return ("float", "nan" if value != value else struct.pack("d", value))  # noqa: PLR0124
    if isinstance(value, dict):
        return tuple((name, exactly(one)) for name, one in sorted(value.items()))
    if isinstance(value, list | tuple):
        return ("list", *(exactly(one) for one in value))
    return (type(value).__name__, value)


def counted(rows: Sequence[Row], columns: Sequence[str]) -> Counter[Hashable]:
    """Rows as a multiset; maps have no order."""
    return Counter(
        tuple(exactly(sorted(row[name]) if name == "marks" and row[name] else row[name]) for name in columns)
        for row in rows
    )
