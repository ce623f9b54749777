"""A table at a snapshot as DuckDB reads it: anew for each scan, in pieces, only the columns and files that matter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from drls_dagster.lakehouse.diff.reading import read_batches
from drls_dagster.lakehouse.reader.sql.conditions import Condition, expression

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.schema import Schema
    from pyiceberg.table import FileScanTask, Table


class TableStream:
    """Speaks Arrow's C stream protocol. `most_rows`: after so many it ends, and `ended` is true."""

    def __init__(
        self,
        table: Table,
        snapshot: int | None,
        schema: Schema,
        columns: frozenset[str] | None,
        conditions: tuple[Condition, ...] = (),
        most_rows: int | None = None,
    ) -> None:
        from pyiceberg.io.pyarrow import schema_to_pyarrow
        from pyiceberg.schema import Schema

        self._table = table
        self._snapshot = snapshot
        self._filter = expression(conditions, schema, table.schema())
        fields = [one for one in schema.fields if columns is None or one.name.lower() in columns]
        # COUNT(*) names no column, and the number of rows is still asked.
        self._schema = Schema(*(fields or schema.fields[:1]))
        self.arrow: pa.Schema = schema_to_pyarrow(self._schema, include_field_ids=False)
        self._most = most_rows
        self.ended = False
        self.files = 0

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self.arrow, self._batches()).__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        left = self._most
        for task in self._tasks():
            self.files += 1
            for batch in read_batches(self._table, task, self._schema):
                piece = batch if left is None else batch.slice(0, left)
                left = None if left is None else left - piece.num_rows
                yield from pa.Table.from_batches([piece]).cast(self.arrow).to_batches()
                if left == 0:
                    self.ended = True
                    return

    def _tasks(self) -> list[FileScanTask]:
        if self._snapshot is None:
            return []
        scan = self._table.scan(snapshot_id=self._snapshot)
        if self._filter is not None:
            scan = scan.filter(self._filter)
        return list(scan.plan_files())
