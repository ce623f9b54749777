"""One data file, in pieces of bounded size.

PyIceberg's reader decodes whole row groups, several at once: a file of wide rows took a gigabyte of memory where this
takes some tens of megabytes. What a file's columns are, and which rows of it are deleted, is PyIceberg's to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import FileScanTask, Table

    MaybeArray: TypeAlias = pa.Array | None

BATCH_BYTES = 32_000_000
"""What one piece holds, as far as the file's first rows and its average row say how much a row is."""

_MOST_ROWS = 100_000  # of narrow ones; more at once is no faster
_FIRST_ROWS = 100  # are looked at, and are never too many
_BUFFERS = 64_000_000  # bytes, all columns together: what is asked of the storage at once


def read_batches(
    table: Table, task: FileScanTask, schema: Schema, deletes: dict[str, list[pa.ChunkedArray]] | None = None
) -> Iterator[pa.RecordBatch]:
    """The file as `schema`, without the rows that are deleted; `deletes` has their places, where they are known."""
    from pyiceberg.io.pyarrow import _read_all_delete_files
    from pyiceberg.manifest import FileFormat

    deletes = _read_all_delete_files(table.io, [task]) if deletes is None else deletes
    if task.file.file_format is FileFormat.PARQUET:
        yield from _parquet_batches(table, task, schema, deletes.get(task.file.file_path, []))
    else:
        from pyiceberg.expressions import AlwaysTrue
        from pyiceberg.io.pyarrow import ArrowScan

        scan = ArrowScan(table.metadata, table.io, schema, AlwaysTrue())
        yield from scan._record_batches_from_scan_tasks_and_deletes([task], deletes)


def _parquet_batches(
    table: Table, task: FileScanTask, schema: Schema, deletes: list[pa.ChunkedArray]
) -> Iterator[pa.RecordBatch]:
    from pyarrow.parquet import ParquetFile
    from pyiceberg.io.pyarrow import (
        _combine_positional_deletes,
        _get_column_projection_values,
        pyarrow_to_schema,
    )
    from pyiceberg.schema import prune_columns
    from pyiceberg.types import ListType, MapType

    about = table.metadata
    no_nanoseconds = about.format_version <= 2
    with table.io.new_input(task.file.file_path).open() as stream:
        file = ParquetFile(stream, buffer_size=max(_BUFFERS // max(len(schema.field_ids), 1), 64_000), pre_buffer=False)
        own = pyarrow_to_schema(
            file.schema_arrow,
            name_mapping=about.name_mapping(),
            downcast_ns_timestamp_to_us=no_nanoseconds,
            format_version=about.format_version,
        )
        missing = _get_column_projection_values(
            task.file, schema, about.schema(), about.specs().get(task.file.spec_id), own.field_ids
        )
        # Their fields bring lists and maps with them.
        ids = {one for one in schema.field_ids if not isinstance(schema.find_type(one), ListType | MapType)}
        there = prune_columns(own, ids, select_full_types=False)
        names = [column.name for column in there.columns]
        at = 0
        for batch in file.iter_batches(_rows_at_once(file, names), columns=names):
            start, at = at, at + batch.num_rows
            kept = batch.take(_combine_positional_deletes(deletes, start, at)) if deletes else batch
            if kept.num_rows:
                yield _as_schema(schema, there, kept, missing, no_nanoseconds=no_nanoseconds)


def _as_schema(
    schema: Schema, own: Schema, batch: pa.RecordBatch, missing: dict[int, Any], *, no_nanoseconds: bool
) -> pa.RecordBatch:
    """PyIceberg's `_to_requested_schema`, which makes an empty list or map of one that is NULL and holds structs."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyiceberg.io.pyarrow import ArrowAccessor, ArrowProjectionVisitor
    from pyiceberg.schema import visit_with_partner
    from pyiceberg.types import ListType, MapType

    def with_nulls(found: MaybeArray, source: MaybeArray) -> MaybeArray:
        if found is None or source is None or found.null_count == source.null_count:
            return found
        return pc.call_function("if_else", [source.is_valid(), found, pa.scalar(None, found.type)])

    class Projection(ArrowProjectionVisitor):
        def list(self, list_type: ListType, list_array: MaybeArray, value_array: MaybeArray) -> MaybeArray:
            return with_nulls(super().list(list_type, list_array, value_array), list_array)

        def map(
            self, map_type: MapType, map_array: MaybeArray, key_result: MaybeArray, value_result: MaybeArray
        ) -> MaybeArray:
            return with_nulls(super().map(map_type, map_array, key_result, value_result), map_array)

    visitor = Projection(own, no_nanoseconds, projected_missing_fields=missing, allow_timestamp_tz_mismatch=True)
    return pa.RecordBatch.from_struct_array(visit_with_partner(schema, batch, visitor, ArrowAccessor(own)))


def _rows_at_once(file: ParquetFile, names: list[str]) -> int:
    """How many rows are about BATCH_BYTES: by the average row, or by the first ones where those are wider.

    The file knows only how much its values are encoded, which for repeated text is next to nothing.
    """
    rows = file.metadata.num_rows
    if rows <= _FIRST_ROWS:
        return _FIRST_ROWS
    encoded = sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups))
    first = next(file.iter_batches(_FIRST_ROWS, columns=names))
    width = max(encoded / rows, first.nbytes / max(first.num_rows, 1), 1)
    return max(min(int(BATCH_BYTES / width), _MOST_ROWS), 1)
