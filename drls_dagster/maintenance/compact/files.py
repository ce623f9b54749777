"""Data files: read as the table is now, and written with what Iceberg keeps of each.

A file whose columns are those of the table goes from Parquet to Parquet in Arrow, its repeated text as dictionaries.
One that is older than a change of the schema, has rows that are deleted, or has no field ids, is read by PyIceberg.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from drls_dagster.errors import DrlsError
from drls_dagster.lakehouse.rewriting import schema_of
from drls_dagster.maintenance.compact.encoding import int_property, writer_options
from drls_dagster.maintenance.compact.selecting import Candidate

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table

_FIELD_ID = b"PARQUET:field_id"
ROW_GROUP_BYTES = 128 << 20
_SMALLEST_GROUP_BYTES = 1 << 20
_IMPL = "write.py-location-provider.impl"
_FEW_VALUES = 0.5
_AT_ONCE_BYTES = 8 << 20


class Layout:
    """The table's columns as its new files have them."""

    def __init__(self, table: Table) -> None:
        from pyiceberg.io.pyarrow import schema_to_pyarrow
        from pyiceberg.schema import sanitize_column_names

        self.table = table
        self.schema: Schema = sanitize_column_names(table.schema())
        self.arrow: pa.Schema = schema_to_pyarrow(self.schema)
        self._like: dict[str, bool] = {}

    def is_like(self, found: pa.Schema) -> bool:
        """Whether a file's columns are these, with the same ids, names and types."""
        told = found.remove_metadata().to_string(show_field_metadata=True, truncate_metadata=False)
        if told not in self._like:
            self._like[told] = len(found) == len(self.arrow) and all(map(_is_same, found, self.arrow))
        return self._like[told]

    def at(self, field_ids: Sequence[int]) -> list[int]:
        """Where the columns with these ids are."""
        ids = [one.field_id for one in self.schema.fields]
        return [ids.index(one) for one in field_ids]

    @property
    def no_rows(self) -> pa.Table:
        return self.arrow.empty_table()

    def with_dropped(self, field_ids: Sequence[int]) -> Schema:
        """These columns, and after them those with the given ids that the table no longer has."""
        from pyiceberg.schema import Schema
        from pyiceberg.types import NestedField

        known = self.table.schemas()
        found: list[NestedField] = []
        for field_id in field_ids:
            newest = next(known[at] for at in sorted(known, reverse=True) if field_id in known[at].field_ids)
            kind = newest.find_field(field_id).field_type
            # Named by the id: a later column may have its name.
            found.append(NestedField(field_id, f"dropped {field_id}", kind, required=False))
        return Schema(*self.schema.fields, *found) if found else self.schema

    def read(
        self,
        one: Candidate,
        *,
        dictionaries: bool = True,
        only: Sequence[int] | None = None,
        dropped: Sequence[int] = (),
    ) -> Iterator[pa.Table]:
        """The rows of a file without those that position deletes name, in pieces.

        `only`: of the columns at these places. `dropped`: also the columns with these ids, which the table had.
        """
        if not one.deletes and not dropped:
            with self._opened(one, whole=only is None) as stream:
                parquet = pq.ParquetFile(stream)
                if self.is_like(parquet.schema_arrow):
                    names = _repeated(parquet) if dictionaries and only is None else []
                    if names:
                        parquet = pq.ParquetFile(stream, read_dictionary=names, metadata=parquet.metadata)
                    columns = None if only is None else [self.arrow.names[at] for at in only]
                    for group in range(parquet.num_row_groups):
                        yield self._typed(parquet.read_row_group(group, columns=columns, use_threads=False), only)
                    return
        whole = self.with_dropped(dropped)
        for rows in self._projected(one.file, whole, [delete.data_file for delete in one.deletes]):
            yield rows if only is None else rows.select(list(only))

    def _opened(self, one: Candidate, *, whole: bool) -> Any:
        """A file's bytes. A small one that is read whole comes with one request."""
        stream = self.table.io.new_input(one.file.file_path).open(seekable=True)
        if not whole or one.size > _AT_ONCE_BYTES:
            return stream
        with stream:
            return pa.BufferReader(stream.read())

    def read_keys(self, delete: DataFile, field_ids: Sequence[int]) -> pa.Table:
        """The columns with these ids of an equality delete file. Raises DrlsError where it does not have them."""
        from pyiceberg.io.pyarrow import pyarrow_to_schema, schema_to_pyarrow
        from pyiceberg.schema import Schema
        from pyiceberg.types import NestedField

        with self.table.io.new_input(delete.file_path).open(seekable=True) as stream:
            try:
                there = pyarrow_to_schema(pq.ParquetFile(stream).schema_arrow, self.table.name_mapping()).field_ids
            except ValueError:  # it has no field ids, and the table does not say what its columns are
                there = frozenset[int]()
        if not set(field_ids) <= there:
            raise DrlsError(f"{delete.file_path} lacks the columns by which it deletes rows; nothing was changed")
        known = self.with_dropped([one for one in field_ids if one not in self.schema.field_ids])
        fields = [known.find_field(one) for one in field_ids]
        wanted = Schema(*(NestedField(one.field_id, one.name, one.field_type, required=False) for one in fields))
        found = list(self._projected(delete, wanted, ()))
        return pa.concat_tables(found) if found else schema_to_pyarrow(wanted).empty_table()

    def _projected(self, file: DataFile, wanted: Schema, deletes: Sequence[DataFile]) -> Iterator[pa.Table]:
        from pyiceberg.expressions import AlwaysTrue
        from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow
        from pyiceberg.table import FileScanTask

        scan = ArrowScan(self.table.metadata, self.table.io, wanted, AlwaysTrue())
        fields = list(self.arrow if wanted is self.schema else schema_to_pyarrow(wanted))
        for batch in scan.to_record_batches([FileScanTask(file, set(deletes))]):
            yield _typed(pa.Table.from_batches([batch]), fields)

    def _typed(self, rows: pa.Table, only: Sequence[int] | None) -> pa.Table:
        return _typed(rows, list(self.arrow) if only is None else [self.arrow.field(at) for at in only])


def _typed(rows: pa.Table, fields: Sequence[pa.Field]) -> pa.Table:
    columns: list[pa.ChunkedArray] = []
    kept: list[pa.Field] = []
    for column, field in zip(rows.columns, fields, strict=True):
        if pa.types.is_dictionary(column.type):
            kind = pa.dictionary(column.type.index_type, column.type.value_type)
            kept.append(field.with_type(kind))
            columns.append(column)
        else:
            kept.append(field)
            columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.Table.from_arrays(columns, schema=pa.schema(kept))


def _is_same(found: pa.Field, wanted: pa.Field) -> bool:
    ids = [(one.metadata or {}).get(_FIELD_ID) for one in (found, wanted)]
    return ids[0] is not None and ids[0] == ids[1] and found.name == wanted.name and _same_type(found.type, wanted.type)


def _same_type(found: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_struct(wanted):
        return (
            pa.types.is_struct(found)
            and found.num_fields == wanted.num_fields
            and all(_is_same(found.field(at), wanted.field(at)) for at in range(wanted.num_fields))
        )
    if pa.types.is_list(wanted) or pa.types.is_large_list(wanted):
        return (pa.types.is_list(found) or pa.types.is_large_list(found)) and _is_same_element(
            found.value_field, wanted.value_field
        )
    if pa.types.is_map(wanted):
        return (
            pa.types.is_map(found)
            and _is_same_element(found.key_field, wanted.key_field)
            and _is_same_element(found.item_field, wanted.item_field)
        )
    if pa.types.is_string(wanted) or pa.types.is_large_string(wanted):
        return pa.types.is_string(found) or pa.types.is_large_string(found)
    if pa.types.is_binary(wanted) or pa.types.is_large_binary(wanted):
        return pa.types.is_binary(found) or pa.types.is_large_binary(found)
    return found == wanted


def _is_same_element(found: pa.Field, wanted: pa.Field) -> bool:
    # What elements of lists and maps are called differs among writers and means nothing.
    ids = [(one.metadata or {}).get(_FIELD_ID) for one in (found, wanted)]
    return ids[0] is not None and ids[0] == ids[1] and _same_type(found.type, wanted.type)


def _repeated(parquet: pq.ParquetFile) -> list[str]:
    """Text columns whose pages are all dictionaries, and whose values repeat."""
    metadata = parquet.metadata
    if not metadata.num_row_groups or not metadata.num_rows:
        return []
    group = metadata.row_group(0)
    found: list[str] = []
    for at in range(metadata.num_columns):
        column = group.column(at)
        if (
            column.physical_type == "BYTE_ARRAY"
            and column.has_dictionary_page
            and "." not in column.path_in_schema
            and _is_text(parquet.schema_arrow, column.path_in_schema)
            # A dictionary of almost all values costs more than it saves.
            and column.dictionary_page_offset is not None
            and column.data_page_offset - column.dictionary_page_offset < _FEW_VALUES * column.total_compressed_size
        ):
            found.append(column.path_in_schema)
    return found


def _is_text(schema: pa.Schema, name: str) -> bool:
    kind = schema.field(name).type if name in schema.names else pa.null()
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


class NewFile:
    """A data file while it is written, in row groups of bounded size."""

    def __init__(
        self,
        layout: Layout,
        path: str,
        like: DataFile,
        sort_order_id: int | None,
        target: int,
        most: int = ROW_GROUP_BYTES,
    ) -> None:
        properties = layout.table.properties
        self._layout = layout
        self._path = path
        self._like = like
        self._sort_order_id = sort_order_id
        self._output = layout.table.io.new_output(path)
        self._stream: Any = self._output.create(overwrite=False)
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._waiting_bytes = 0
        # In Arrow, which takes several times what is written; a file of the wanted size has at least a few groups.
        wanted = int_property(properties, "write.parquet.row-group-size-bytes", ROW_GROUP_BYTES)
        self._limit = max(_SMALLEST_GROUP_BYTES, min(wanted, target, most))
        self._rows_limit = int_property(properties, "write.parquet.row-group-limit", 1 << 20)
        self._waiting_rows = 0
        self._schema: pa.Schema | None = None
        self._floats = {
            at: field.field_id
            for at, field in enumerate(layout.schema.fields)
            if pa.types.is_floating(layout.arrow.field(at).type)
        }
        self._nans = dict.fromkeys(self._floats.values(), 0)
        self.rows = 0

    def pieces(self, rows: pa.Table) -> Iterator[pa.Table]:
        """The rows in parts that are no larger than a row group."""
        step = max(1, min(self._rows_limit, rows.num_rows * self._limit // max(1, rows.nbytes)))
        for start in range(0, rows.num_rows, step):
            yield rows.slice(start, step)

    def write(self, rows: pa.Table) -> None:
        self._waiting.append(rows)
        self._waiting_bytes += rows.nbytes
        self._waiting_rows += rows.num_rows
        if self._waiting_bytes >= self._limit or self._waiting_rows >= self._rows_limit:
            self._flush()

    @property
    def size(self) -> int:
        """Bytes written so far, without what waits."""
        return int(self._stream.tell())

    def _flush(self) -> None:
        if not self._waiting:
            return
        rows = together(self._waiting, self._schema)
        self._waiting, self._waiting_bytes, self._waiting_rows = [], 0, 0
        if self._writer is None:
            # Which columns are dictionaries in memory stays as it is in the first row group.
            self._schema = rows.schema
            self._writer = pq.ParquetWriter(
                self._stream,
                self._schema,
                store_schema=False,
                store_decimal_as_integer=True,
                **writer_options(self._layout.table.properties, rows),
            )
        for at, field_id in self._floats.items():
            self._nans[field_id] += pc.sum(pc.is_nan(rows.column(at))).as_py() or 0  # pyright: ignore[reportAttributeAccessIssue]
        self.rows += rows.num_rows
        self._writer.write_table(rows, row_group_size=self._rows_limit)

    def close(self) -> DataFile | None:
        """The finished file; None where no row came, and then no file is left."""
        from pyiceberg.io.pyarrow import (
            compute_statistics_plan,
            data_file_statistics_from_parquet_metadata,
            parquet_path_to_id_mapping,
        )
        from pyiceberg.manifest import DataFile, DataFileContent, FileFormat

        self._flush()
        if self._writer is None:
            self._stream.close()
            self._layout.table.io.delete(self._path)
            return None
        self._writer.close()
        self._stream.close()
        schema = self._layout.schema
        told = data_file_statistics_from_parquet_metadata(
            parquet_metadata=self._writer.writer.metadata,
            stats_columns=compute_statistics_plan(schema, self._layout.table.properties),
            parquet_column_mapping=parquet_path_to_id_mapping(schema),
        ).to_serialized_dict()
        counted = told["value_counts"]
        made = DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=self._path,
            file_format=FileFormat.PARQUET,
            partition=self._like.partition,
            file_size_in_bytes=len(self._output),
            sort_order_id=self._sort_order_id,
            equality_ids=None,
            key_metadata=None,
            **{**told, "nan_value_counts": {key: value for key, value in self._nans.items() if key in counted}},
        )
        made.spec_id = self._like.spec_id
        return made

    def abandon(self) -> None:
        """Close and remove what is there, after an error."""
        if not self._stream.closed:
            self._stream.close()
        if self._layout.table.io.new_input(self._path).exists():
            self._layout.table.io.delete(self._path)


def together(waiting: Sequence[pa.Table], wanted: pa.Schema | None) -> pa.Table:
    """One table. A column is a dictionary where `wanted` says so, or where nothing does and all parts are one."""
    columns: list[pa.ChunkedArray] = []
    fields: list[pa.Field] = []
    for at in range(waiting[0].num_columns):
        parts = [rows.column(at) for rows in waiting]
        field = waiting[0].field(at) if wanted is None else wanted.field(at)
        if wanted is None and len({one.type for one in parts}) > 1:
            field = field.with_type(next(one.type for one in parts if not pa.types.is_dictionary(one.type)))
        parts = [_as_type(one, field.type) for one in parts]
        whole = pa.chunked_array([chunk for one in parts for chunk in one.chunks], field.type)
        columns.append(whole.unify_dictionaries() if pa.types.is_dictionary(field.type) else whole)
        fields.append(field)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _as_type(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if pa.types.is_dictionary(kind):
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return column.cast(kind.value_type).dictionary_encode().cast(kind)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(kind)


def new_path(table: Table, like: DataFile, name: str) -> str:
    """Where a file of the partition of `like` goes.

    As the table's properties say, but for a class that one of them names: this process imports nothing a table says.
    """
    from pyiceberg.table.locations import load_location_provider

    properties = {key: value for key, value in table.properties.items() if key != _IMPL}
    provider = load_location_provider(table.location(), properties)
    spec = table.specs()[like.spec_id]
    if spec.is_unpartitioned():
        return provider.new_data_location(name)
    if properties.get("write.object-storage.enabled", "false").lower() == "true" and (
        properties.get("write.object-storage.partitioned-paths", "true").lower() == "false"
    ):
        return provider.new_data_location(name)
    folder = spec.partition_to_path(like.partition, schema_of(table, spec))
    # `quote_plus` leaves the dots of a value, and a folder must not be named `..`.
    safe = "/".join(urllib.parse.quote(part, safe="=%+") for part in folder.split("/"))
    return provider.new_data_location(f"{safe}/{name}")
